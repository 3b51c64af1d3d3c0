_base_ = 'hrnet_w18_imagenet.py'
model = dict(
    backbone=dict(arch='w48'),
    neck=[
        dict(type='HRNetClassificationNeck', in_channels=[48, 96, 192, 384]),
        dict(type='GlobalAveragePooling'),
    ],
)
