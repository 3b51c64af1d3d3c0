_base_ = ['_base_/hrnetv2_w48_aligned.py', '_base_/cityscapes.py']
model = dict(decode_head=dict(loss_decode=dict(class_weight=_base_.class_weight, reduction='none')))
