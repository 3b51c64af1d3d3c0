_base_ = ['_base_/hrnetv2_ocr.py', '_base_/pascal_context_60.py']
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=[dict(head, num_classes=60) for head in _base_.model.decode_head],
    # one window up to the training size, several above it
    test_cfg=dict(mode='slide', crop_size=_base_.crop_size, stride=(346, 346)),
)
