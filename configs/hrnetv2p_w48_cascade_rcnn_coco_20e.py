_base_ = 'hrnetv2p_w32_cascade_rcnn_coco_20e.py'
model = dict(
    backbone=dict(arch='w48', init_cfg=dict(checkpoint='open-mmlab://msra/hrnetv2_w48')),
    neck=dict(in_channels=[48, 96, 192, 384]),
)
