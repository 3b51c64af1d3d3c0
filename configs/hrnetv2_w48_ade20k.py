_base_ = ['_base_/hrnetv2_w48_aligned.py', '_base_/ade20k.py']
# scales up to 1.6 without OCR, up to 2.1 with it
_base_.train_pipeline[2].ratio_range = (0.5, 1.6)
train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline))
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=dict(num_classes=150, sampler=_base_.sampler),
)
