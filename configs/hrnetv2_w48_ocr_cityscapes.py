_base_ = ['_base_/hrnetv2_ocr.py', '_base_/cityscapes.py']
_balanced = dict(class_weight=_base_.class_weight, reduction='none')
model = dict(
    decode_head=[
        dict(head, loss_decode=dict(head.loss_decode, **_balanced)) for head in _base_.model.decode_head
    ]
)
