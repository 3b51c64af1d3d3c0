# Ablation of repeated fusion (arXiv 1902.09212, table 6 b): across stages only, one fusion at the end of
# each.
_base_ = 'hrnetv1_w32_scratch_coco_256x192.py'
model = dict(backbone=dict(fusions=(1, 1, 1)))
