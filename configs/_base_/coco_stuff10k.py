# COCO-Stuff 10k (171 classes) as the authors train on it: 4 GPUs of 4 crops; 9000 images // 16 = 562
# iterations an epoch, times 110 epochs = 61820. The long side is 520 times the random scale. mmseg's recipe
# for other backbones: 20000 or 40000 iterations of crops of 512 at a rate of 1e-2, the short side scaled,
# photometric distortion, no mining.
_base_ = [
    'mmseg::_base_/datasets/coco-stuff10k.py',
    'mmseg::_base_/schedules/schedule_80k.py',
    'mmseg::_base_/default_runtime.py',
    'hooks.py',
]
crop_size = (520, 520)
# Pixels predicted with less than 0.9, at least 131072 of a GPU's 4 crops. mmseg averages their loss over all
# labelled pixels, the authors over the mined ones.
sampler = dict(type='OHEMPixelSampler', thresh=0.9, min_kept=131072 // 4)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='RandomResize', scale=(520, 520), ratio_range=(0.5, 2.1), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(2048, 520), keep_ratio=True),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
auto_scale_lr = dict(base_batch_size=16)
optim_wrapper = dict(
    optimizer=dict(lr=1e-3, weight_decay=1e-4),
    # all that ImageNet did not train learns ten times as fast
    paramwise_cfg=dict(custom_keys=dict(neck=dict(lr_mult=10), decode_head=dict(lr_mult=10))),
)
iterations = 61820
train_cfg = dict(max_iters=iterations)
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=iterations, by_epoch=False)]
default_hooks = _base_.hrnet_hooks
