# From random weights, as the ablations of the paper; the other ablations for pose inherit this one.
_base_ = 'hrnetv1_w32_coco_256x192.py'
model = dict(backbone=dict(init_cfg=None))  # leaves mmpose's own start, a normal of 0.001, as the authors'
