# HRNetV2 for mmseg: all streams upsampled, concatenated and mixed in the neck, then a 1x1 classifier.
custom_imports = dict(imports=['hrnet_mm'])
norm_cfg = dict(type='SyncBN', requires_grad=True)  # becomes plain BN where training is not distributed
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=(512, 1024),
    ),
    backbone=dict(type='HRNetBackbone', arch='w48', norm_cfg=norm_cfg),
    neck=dict(type='HRNetV2Neck', in_channels=[48, 96, 192, 384], norm_cfg=norm_cfg),
    decode_head=dict(
        type='FCNHead',
        in_channels=720,
        channels=720,
        in_index=0,
        num_convs=0,
        concat_input=False,
        dropout_ratio=0,
        num_classes=19,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
