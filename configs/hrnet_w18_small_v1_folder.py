# Classify any images in folders: data/folder/train/<class>/*.jpg and data/folder/val/<class>/*.jpg.
# Elsewhere: --data-root DIR. Another number of classes: --cfg-options model.head.num_classes=N.
_base_ = [
    '_base_/hrnet_classifier.py',
    'mmpretrain::_base_/datasets/imagenet_bs32_pil_resize.py',
    'mmpretrain::_base_/schedules/cifar10_bs128.py',
    'mmpretrain::_base_/default_runtime.py',
    '_base_/hooks.py',
]
data_root = 'data/folder'
model = dict(
    backbone=dict(arch='w18_small_v1'),
    neck=[
        dict(type='HRNetClassificationNeck', in_channels=[16, 32, 64, 128]),
        dict(type='GlobalAveragePooling'),
    ],
    head=dict(num_classes=2, topk=(1,)),
)
_folder = dict(_delete_=True, type='CustomDataset', data_root=data_root)
train_dataloader = dict(
    num_workers=2,
    dataset=dict(**_folder, data_prefix='train', pipeline=_base_.train_pipeline),
)
val_dataloader = dict(
    num_workers=2,
    dataset=dict(**_folder, data_prefix='val', pipeline=_base_.test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(topk=(1,))
test_evaluator = val_evaluator
optim_wrapper = dict(optimizer=dict(lr=1e-2))
param_scheduler = dict(_delete_=True, type='CosineAnnealingLR', T_max=200, by_epoch=True)
default_hooks = _base_.hrnet_hooks
