_base_ = 'hrnetv2_w32_centernet_coco_140e.py'
model = dict(
    backbone=dict(arch='w48', init_cfg=dict(checkpoint='open-mmlab://msra/hrnetv2_w48')),
    neck=dict(in_channels=[48, 96, 192, 384]),
    bbox_head=dict(in_channels=720),
)
