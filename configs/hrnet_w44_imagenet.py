_base_ = 'hrnet_w18_imagenet.py'
model = dict(
    backbone=dict(arch='w44'),
    neck=[
        dict(type='HRNetClassificationNeck', in_channels=[44, 88, 176, 352]),
        dict(type='GlobalAveragePooling'),
    ],
)
