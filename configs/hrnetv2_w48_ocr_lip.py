# The published score averages both directions; mmseg's --tta cannot swap left and right back, so this is one.
_base_ = ['_base_/hrnetv2_ocr.py', '_base_/lip.py']
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=[dict(head, num_classes=20) for head in _base_.model.decode_head],
)
