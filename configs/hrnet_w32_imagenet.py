_base_ = 'hrnet_w18_imagenet.py'
model = dict(
    backbone=dict(arch='w32'),
    neck=[
        dict(type='HRNetClassificationNeck', in_channels=[32, 64, 128, 256]),
        dict(type='GlobalAveragePooling'),
    ],
)
