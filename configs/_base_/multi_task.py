# Several tasks on one backbone: MMEngine's runtime, our loops, our hooks. Behind it a config says what is
# joined and for how long (train_cfg.max_iters).
_base_ = 'hooks.py'
default_scope = 'mmengine'  # each task has a scope of its own
custom_imports = dict(imports=['hrnet_mm'])
train_cfg = dict(type='hrnet_mm.MultiTaskTrainLoop')
val_cfg = dict(type='hrnet_mm.MultiTaskValLoop')
test_cfg = dict(type='hrnet_mm.MultiTaskTestLoop')
env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
log_processor = dict(by_epoch=False, window_size=50)
visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])
log_level = 'INFO'
load_from = None
resume = False
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    **_base_.hrnet_hooks,
)
default_hooks['checkpoint'].update(by_epoch=False)
