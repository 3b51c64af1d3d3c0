_base_ = 'hrnet_w18_imagenet.py'
model = dict(
    backbone=dict(arch='w30'),
    neck=[
        dict(type='HRNetClassificationNeck', in_channels=[30, 60, 120, 240]),
        dict(type='GlobalAveragePooling'),
    ],
)
