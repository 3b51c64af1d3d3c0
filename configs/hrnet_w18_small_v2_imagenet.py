_base_ = 'hrnet_w18_imagenet.py'
model = dict(
    backbone=dict(arch='w18_small_v2'),
    neck=[
        dict(type='HRNetClassificationNeck', in_channels=[18, 36, 72, 144]),
        dict(type='GlobalAveragePooling'),
    ],
)
