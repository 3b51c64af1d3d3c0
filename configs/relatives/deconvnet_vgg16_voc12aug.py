# DeconvNet on PASCAL VOC 2012 with SBD's labels by mmseg's recipe for FCN: 4 GPUs of 4 crops of 512x512. The
# paper trains on 224x224, first on single objects and then on object proposals, whose maps it combines.
_base_ = [
    'mmseg::_base_/datasets/pascal_voc12_aug.py',
    'mmseg::_base_/schedules/schedule_40k.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/hooks.py',
    '../_base_/vgg16_fcn.py',
]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(type='hrnet_mm.DeconvNet'),
    decode_head=dict(num_classes=21),
)
default_hooks = _base_.hrnet_hooks
