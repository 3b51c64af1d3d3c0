# Cityscapes as the authors train on it: 4 GPUs of 3 crops; 2975 images // 12 = 247 iterations an epoch, times
# 484 epochs = 119548. mmseg's recipe is 8 crops for 160000 iterations, with photometric distortion, crops
# refused where one class covers more than 75 %, scales up to 2.0, a rate that ends at 1e-4, no class weights.
_base_ = [
    'mmseg::_base_/datasets/cityscapes.py',
    'mmseg::_base_/schedules/schedule_160k.py',
    'mmseg::_base_/default_runtime.py',
    'hooks.py',
]
# Rare classes count more. With reduction='none' the sum is divided by all pixels, the authors divide by the
# weights of the labelled ones: with 'mean' mmseg looks up a weight for the label "ignore" too, and fails.
class_weight = [
    0.8373, 0.918, 0.866, 1.0345, 1.0166, 0.9969, 0.9754, 1.0489, 0.8786, 1.0023,
    0.9539, 0.9843, 1.1116, 0.9037, 1.0865, 1.0955, 1.0865, 1.1529, 1.0507,
]  # fmt: skip
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=(2048, 1024), ratio_range=(0.5, 2.1), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(512, 1024)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(batch_size=3, dataset=dict(pipeline=train_pipeline))
auto_scale_lr = dict(base_batch_size=12)
iterations = 119548
train_cfg = dict(max_iters=iterations)
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=iterations, by_epoch=False)]
default_hooks = _base_.hrnet_hooks
