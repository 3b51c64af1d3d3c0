# The authors start from ImageNet weights. mmengine knows no address of them for this network; without
# --cfg-options model.backbone.pretrained=FILE it starts from random weights.
_base_ = 'hrnetv2_w18_small_v2_cityscapes.py'
model = dict(
    backbone=dict(arch='w18_small_v1', init_cfg=None),
    neck=dict(in_channels=[16, 32, 64, 128]),
    decode_head=dict(in_channels=240, channels=240),
)
