# HRNet-C for mmpretrain: the paper's classification neck, pooling and a linear head.
custom_imports = dict(imports=['hrnet_mm'])
model = dict(
    type='ImageClassifier',
    backbone=dict(type='HRNetBackbone', arch='w18'),
    neck=[
        dict(type='HRNetClassificationNeck', in_channels=[18, 36, 72, 144]),
        dict(type='GlobalAveragePooling'),
    ],
    head=dict(
        type='LinearClsHead',
        in_channels=2048,
        num_classes=1000,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
        topk=(1, 5),
    ),
)
