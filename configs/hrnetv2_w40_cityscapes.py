# The paper's table gives a score for this width; the authors published neither weights nor a recipe of it.
_base_ = 'hrnetv2_w48_cityscapes.py'
model = dict(
    backbone=dict(arch='w40', init_cfg=dict(checkpoint='open-mmlab://msra/hrnetv2_w40')),
    neck=dict(in_channels=[40, 80, 160, 320]),
    decode_head=dict(in_channels=600, channels=600),
)
