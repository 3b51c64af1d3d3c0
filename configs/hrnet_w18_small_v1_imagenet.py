_base_ = 'hrnet_w18_imagenet.py'
model = dict(
    backbone=dict(arch='w18_small_v1'),
    neck=[
        dict(type='HRNetClassificationNeck', in_channels=[16, 32, 64, 128]),
        dict(type='GlobalAveragePooling'),
    ],
)
