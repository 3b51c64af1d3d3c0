# A fifth of the training images, every fifth of them: CIFAR-10 stores them in random order.
_base_ = [
    '_base_/hrnet_classifier.py',
    'mmpretrain::_base_/datasets/cifar10_bs16.py',
    'mmpretrain::_base_/schedules/cifar10_bs128.py',
    'mmpretrain::_base_/default_runtime.py',
    '_base_/hooks.py',
]
model = dict(
    backbone=dict(arch='w18_small_v1'),
    neck=[
        dict(type='HRNetClassificationNeck', in_channels=[16, 32, 64, 128]),
        dict(type='GlobalAveragePooling'),
    ],
    head=dict(num_classes=10, topk=(1,)),
)
train_dataloader = dict(batch_size=32, dataset=dict(indices=range(0, 50_000, 5)))
val_dataloader = dict(batch_size=32)
test_dataloader = dict(batch_size=32)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = dict(_delete_=True, type='CosineAnnealingLR', T_max=200, by_epoch=True)
auto_scale_lr = dict(base_batch_size=32)
default_hooks = _base_.hrnet_hooks
