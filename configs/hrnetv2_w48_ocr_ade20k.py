_base_ = ['_base_/hrnetv2_ocr.py', '_base_/ade20k.py']
_regions, _pixels = _base_.model.decode_head
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=[
        dict(_regions, num_classes=150),
        dict(_pixels, num_classes=150, sampler=_base_.sampler),  # hard pixels for the second head alone
    ],
)
