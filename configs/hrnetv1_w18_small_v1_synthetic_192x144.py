# The demo's pose model: keypoints of drawn people, on a CPU in minutes.
_base_ = 'hrnetv1_w32_coco_256x192.py'
data_root = 'demo_output/data/coco/'
codec = dict(type='UDPHeatmap', input_size=(144, 192), heatmap_size=(36, 48), sigma=2)
model = dict(
    backbone=dict(
        _delete_=True,
        type='HRNetBackbone',
        arch='w18_small_v1',
        # mmpose's own start, a normal of 0.001, is made for ImageNet weights and learns slowly without
        init_cfg=[
            dict(type='Kaiming', layer='Conv2d'),
            dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm']),
        ],
    ),
    head=dict(in_channels=16, decoder=codec),
    test_cfg=dict(flip_test=True, flip_mode='heatmap', shift_heatmap=False),
)
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.15),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='TopdownAffine', input_size=codec['input_size'], use_udp=True),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs'),
]
val_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.15),
    dict(type='TopdownAffine', input_size=codec['input_size'], use_udp=True),
    dict(type='PackPoseInputs'),
]
train_dataloader = dict(
    batch_size=8,
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
    dataset=dict(data_root=data_root, pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=32,
    # boxes of the truth instead of a detector's
    dataset=dict(data_root=data_root, bbox_file=None, pipeline=val_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/person_keypoints_val2017.json')
test_evaluator = val_evaluator

iterations = 700
train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=iterations, val_begin=iterations + 1)
optim_wrapper = dict(optimizer=dict(lr=3e-3))
param_scheduler = [
    dict(type='LinearLR', begin=0, end=20, start_factor=0.01, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=20, end=iterations, T_max=iterations - 20, by_epoch=False),
]
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=iterations, save_best=None), logger=dict(interval=20)
)
custom_hooks = [dict(type='hrnet_mm.TrainProgressHook')]
log_processor = dict(by_epoch=False, window_size=20)
log_level = 'WARNING'
randomness = dict(seed=0)
