# One HRNet-W32 for COCO's keypoints and boxes and Cityscapes' labels, from ImageNet weights; 4 GPUs. The
# recipes are the tasks' own, but for one optimizer and one schedule.
_base_ = '_base_/multi_task.py'

from hrnet_mm.config.joining import join_configs

joint = join_configs(
    dict(
        pose='{{ fileDirname }}/hrnetv1_w32_coco_256x192.py',
        segmentation='{{ fileDirname }}/hrnetv2_w48_cityscapes.py',
        detection='{{ fileDirname }}/hrnetv2p_w32_faster_rcnn_coco_1x.py',
    ),
    backbone=dict(arch='w32', upsample_cfg=dict(mode='nearest'), norm_eval=False),
)
model = joint.model
segmentation = model.tasks.segmentation
segmentation.neck.in_channels = [32, 64, 128, 256]
segmentation.decode_head.update(in_channels=480, channels=480)
model.loss_weights = dict(pose=100.0)  # the loss of heatmaps is some hundredths of the others
train_dataloader = joint.train_dataloader
train_dataloader.pose.batch_size, train_dataloader.detection.batch_size = 32, 4
val_dataloader, val_evaluator = joint.val_dataloader, joint.val_evaluator
test_dataloader, test_evaluator = joint.test_dataloader, joint.test_evaluator
del joint, segmentation

mean = ('pose/coco/AP', 'segmentation/mIoU', 'detection/coco/bbox_mAP')
iterations = 120000
train_cfg = dict(max_iters=iterations, val_interval=10000)
val_cfg = dict(mean=mean)
test_cfg = dict(mean=mean)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=1e-4),
    clip_grad=dict(max_norm=10),
)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=500, start_factor=0.001, by_epoch=False),
    dict(type='MultiStepLR', milestones=[90000, 110000], by_epoch=False),
]
default_hooks = dict(checkpoint=dict(interval=10000, max_keep_ckpts=3, save_best='mean', rule='greater'))
