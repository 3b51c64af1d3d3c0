_base_ = 'hrnet_w18_imagenet.py'
model = dict(
    backbone=dict(arch='w64'),
    neck=[
        dict(type='HRNetClassificationNeck', in_channels=[64, 128, 256, 512]),
        dict(type='GlobalAveragePooling'),
    ],
)
