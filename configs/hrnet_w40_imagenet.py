_base_ = 'hrnet_w18_imagenet.py'
model = dict(
    backbone=dict(arch='w40'),
    neck=[
        dict(type='HRNetClassificationNeck', in_channels=[40, 80, 160, 320]),
        dict(type='GlobalAveragePooling'),
    ],
)
