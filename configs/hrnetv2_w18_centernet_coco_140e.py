_base_ = 'hrnetv2_w32_centernet_coco_140e.py'
model = dict(
    backbone=dict(arch='w18', init_cfg=dict(checkpoint='open-mmlab://msra/hrnetv2_w18')),
    neck=dict(in_channels=[18, 36, 72, 144]),
    bbox_head=dict(in_channels=270),
)
