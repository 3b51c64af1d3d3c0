_base_ = ['_base_/hrnetv2_w48_aligned.py', '_base_/coco_stuff10k.py']
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=dict(num_classes=171, sampler=_base_.sampler),
)
