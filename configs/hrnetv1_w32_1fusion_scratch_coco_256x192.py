# Ablation of repeated fusion (arXiv 1902.09212, table 6 a): the last fusion alone.
_base_ = 'hrnetv1_w32_scratch_coco_256x192.py'
model = dict(backbone=dict(fusions=(0, 0, 1)))
