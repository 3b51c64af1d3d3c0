# LIP as the authors train on it: 4 GPUs of 10 images; 30462 images // 40 = 761 iterations an epoch, times 150
# epochs = 114150. Images are squeezed to 473x473 before all else. mmseg knows the data and ships no recipe.
_base_ = ['mmseg::_base_/schedules/schedule_160k.py', 'mmseg::_base_/default_runtime.py', 'hooks.py']
dataset_type = 'LIPDataset'
data_root = 'data/LIP/'
crop_size = (473, 473)
_squeeze = dict(type='Resize', scale=(473, 473), keep_ratio=False)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    _squeeze,
    dict(type='RandomResize', scale=(473, 473), ratio_range=(0.5, 1.6), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size),
    # in a mirror the left arm, leg and shoe are the right ones
    dict(type='RandomFlip', prob=0.5, swap_seg_labels=[(14, 15), (16, 17), (18, 19)]),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    _squeeze,
    dict(type='LoadAnnotations'),  # after the resize: metrics are taken at the original size
    dict(type='PackSegInputs'),
]
_train_folders = dict(img_path='train_images', seg_map_path='train_segmentations')
_val_folders = dict(img_path='val_images', seg_map_path='val_segmentations')
train_dataloader = dict(
    batch_size=10,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(type=dataset_type, data_root=data_root, data_prefix=_train_folders, pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type=dataset_type, data_root=data_root, data_prefix=_val_folders, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
auto_scale_lr = dict(base_batch_size=40)
optim_wrapper = dict(optimizer=dict(lr=7e-3))
iterations = 114150
train_cfg = dict(max_iters=iterations)
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=iterations, by_epoch=False)]
default_hooks = _base_.hrnet_hooks
