# The demo's three tasks with one network: the drawn scenes of each, on a CPU in minutes.
_base_ = '_base_/multi_task.py'

from hrnet_mm.config.joining import join_configs

data_root = 'demo_output/data/'
joint = join_configs(
    dict(
        pose='{{ fileDirname }}/hrnetv1_w18_small_v1_synthetic_192x144.py',
        segmentation='{{ fileDirname }}/hrnetv2_w18_small_v1_synthetic.py',
        detection='{{ fileDirname }}/hrnetv2p_w18_small_v1_faster_rcnn_synthetic.py',
    ),
    backbone=dict(
        # mmseg's networks upsample bilinearly, the others do not
        upsample_cfg=dict(mode='nearest'),
        # running statistics over some thirty batches: those of the last few are of one task or two
        norm_cfg=dict(type='BN', momentum=0.03, requires_grad=True),
    ),
)
model = joint.model
# so that the tasks' gradients in the backbone are of one size: the loss of heatmaps begins at 0.007
model.loss_weights = dict(pose=500.0, segmentation=2.0)
train_dataloader, val_dataloader = joint.train_dataloader, joint.val_dataloader
val_evaluator = joint.val_evaluator
test_dataloader, test_evaluator = val_dataloader, val_evaluator
del joint

mean = ('pose/coco/AP', 'segmentation/mIoU', 'detection/coco/bbox_mAP')
# the single configs have 700, 150 and 360 steps; detection learns sooner beside the others, and pose later
shares = dict(pose=860, segmentation=180, detection=250)
iterations = sum(shares.values())
train_cfg = dict(max_iters=iterations, val_begin=iterations + 1, shares=shares)
val_cfg = dict(mean=mean)
test_cfg = dict(mean=mean)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=3e-3, weight_decay=1e-4),
    clip_grad=dict(max_norm=10),
)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=20, start_factor=0.01, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=20, end=iterations, T_max=iterations - 20, by_epoch=False),
]
default_hooks = dict(checkpoint=dict(interval=iterations), logger=dict(interval=20))
custom_hooks = [dict(type='hrnet_mm.TrainProgressHook')]
log_level = 'WARNING'
randomness = dict(seed=0)
