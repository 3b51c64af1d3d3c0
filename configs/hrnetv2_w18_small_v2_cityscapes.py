# The small networks were trained in the authors' older branch, which aligns no corners.
_base_ = 'hrnetv2_w48_cityscapes.py'
model = dict(
    backbone=dict(
        arch='w18_small_v2',
        upsample_cfg=dict(align_corners=False),
        init_cfg=dict(checkpoint='open-mmlab://msra/hrnetv2_w18_small'),
    ),
    neck=dict(in_channels=[18, 36, 72, 144], align_corners=False),
    decode_head=dict(in_channels=270, channels=270, align_corners=False),
)
