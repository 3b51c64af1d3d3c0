# SegNet on Cityscapes by mmseg's recipe for U-Net: 4 GPUs of 4 crops. The paper trains on CamVid and on SUN
# RGB-D, at a fixed rate of 0.1, and weights the classes by median frequency.
_base_ = [
    'mmseg::_base_/datasets/cityscapes.py',
    'mmseg::_base_/schedules/schedule_160k.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/hooks.py',
    '../_base_/vgg16_fcn.py',
]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(type='hrnet_mm.SegNet'),
    decode_head=dict(num_classes=19),
)
train_dataloader = dict(batch_size=4)
default_hooks = _base_.hrnet_hooks
