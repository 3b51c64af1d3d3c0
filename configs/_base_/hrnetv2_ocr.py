# HRNetV2-W48 with OCR (arXiv 1909.11065): the streams are concatenated once, in the neck. A first head finds
# soft object regions, a second one classifies pixels by what the regions hold. As the authors train it:
# corners aligned, loss of the first head times 0.4 and averaged over labelled pixels, dropout 0.05.
_base_ = 'hrnetv2_w48_aligned.py'
norm_cfg = dict(type='SyncBN', requires_grad=True)
_head = dict(in_channels=720, in_index=0, num_classes=19, norm_cfg=norm_cfg, align_corners=True)
_loss = dict(type='CrossEntropyLoss', use_sigmoid=False, avg_non_ignore=True)
model = dict(
    type='CascadeEncoderDecoder',
    num_stages=2,
    neck=dict(mix=False),
    decode_head=[
        dict(
            **_head,
            type='FCNHead',
            channels=720,
            kernel_size=1,
            num_convs=1,
            concat_input=False,
            dropout_ratio=0,
            loss_decode=dict(**_loss, loss_weight=0.4),
        ),
        dict(
            **_head,
            type='OCRHead',
            channels=512,
            ocr_channels=256,
            dropout_ratio=0.05,
            loss_decode=dict(**_loss, loss_weight=1.0),
        ),
    ],
)
