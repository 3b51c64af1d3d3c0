# The demo's segmentation model: drawn street scenes in Cityscapes' layout, on a CPU in minutes.
_base_ = [
    '_base_/hrnetv2_fcn.py',
    'mmseg::_base_/datasets/cityscapes.py',
    'mmseg::_base_/schedules/schedule_160k.py',
    'mmseg::_base_/default_runtime.py',
]
data_root = 'demo_output/data/cityscapes/'
size = (192, 320)
model = dict(
    data_preprocessor=dict(size=size),
    backbone=dict(arch='w18_small_v1'),
    neck=dict(in_channels=[16, 32, 64, 128]),
    decode_head=dict(in_channels=240, channels=240),
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(batch_size=8, dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(num_workers=2, dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader

iterations = 150
train_cfg = dict(max_iters=iterations, val_begin=iterations + 1)
optim_wrapper = dict(optimizer=dict(lr=0.05))
param_scheduler = [dict(type='PolyLR', eta_min=1e-4, power=0.9, begin=0, end=iterations, by_epoch=False)]
default_hooks = dict(
    guard=dict(type='hrnet_mm.RunGuardHook'),
    checkpoint=dict(type='hrnet_mm.WholeCheckpointHook', interval=iterations),
    logger=dict(interval=20),
    weights=dict(type='hrnet_mm.HRNetWeightsHook'),
    finite=dict(type='hrnet_mm.FiniteLossHook'),
    resume=dict(type='hrnet_mm.ExactResumeHook'),
)
custom_hooks = [dict(type='hrnet_mm.TrainProgressHook')]
log_level = 'WARNING'
randomness = dict(seed=0)
