# The published score averages both directions; mmseg's --tta cannot swap left and right back, so this is one.
_base_ = ['_base_/hrnetv2_w48_aligned.py', '_base_/lip.py']
model = dict(data_preprocessor=dict(size=_base_.crop_size), decode_head=dict(num_classes=20))
