_base_ = ['_base_/hrnetv2_w48_aligned.py', '_base_/pascal_context_59.py']
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=dict(num_classes=59),
    # one window up to the training size, several above it
    test_cfg=dict(mode='slide', crop_size=_base_.crop_size, stride=(346, 346)),
)
