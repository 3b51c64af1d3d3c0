_base_ = 'hrnetv2p_w32_htc_coco_20e.py'
model = dict(
    backbone=dict(arch='w40', init_cfg=dict(checkpoint='open-mmlab://msra/hrnetv2_w40')),
    neck=dict(in_channels=[40, 80, 160, 320]),
)
