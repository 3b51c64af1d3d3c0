# PASCAL-Context (59 classes, no background) as the authors train on it: 4 GPUs of 4 crops; 4998 images // 16
# = 312 iterations an epoch, times 200 epochs = 62400. mmseg's recipe is 40000 or 80000 iterations on crops of
# 480 at a rate of 4e-3 for all layers, with photometric distortion and scales up to 2.0.
_base_ = [
    'mmseg::_base_/datasets/pascal_context_59.py',
    'mmseg::_base_/schedules/schedule_80k.py',
    'mmseg::_base_/default_runtime.py',
    'hooks.py',
]
crop_size = (520, 520)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='RandomResize', scale=(520, 520), ratio_range=(0.5, 2.1), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
# The published scores are of seven sizes and both directions: test with mmseg's --tta for them.
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='Resize', scale=(side, side), keep_ratio=True)
                for side in (260, 390, 520, 650, 780, 910, 1040)
            ],
            [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
            [dict(type='LoadAnnotations', reduce_zero_label=True)],
            [dict(type='PackSegInputs')],
        ],
    ),
]
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=train_pipeline))
auto_scale_lr = dict(base_batch_size=16)
optim_wrapper = dict(
    optimizer=dict(lr=1e-3, weight_decay=1e-4),
    # all that ImageNet did not train learns ten times as fast
    paramwise_cfg=dict(custom_keys=dict(neck=dict(lr_mult=10), decode_head=dict(lr_mult=10))),
)
iterations = 62400
train_cfg = dict(max_iters=iterations)
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=iterations, by_epoch=False)]
default_hooks = _base_.hrnet_hooks
