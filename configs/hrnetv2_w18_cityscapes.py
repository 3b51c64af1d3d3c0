# Not in the paper: the recipe of W48 at another width.
_base_ = 'hrnetv2_w48_cityscapes.py'
model = dict(
    backbone=dict(arch='w18', init_cfg=dict(checkpoint='open-mmlab://msra/hrnetv2_w18')),
    neck=dict(in_channels=[18, 36, 72, 144]),
    decode_head=dict(in_channels=270, channels=270),
)
