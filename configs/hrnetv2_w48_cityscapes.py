_base_ = [
    '_base_/hrnetv2_fcn.py',
    'mmseg::_base_/datasets/cityscapes.py',
    'mmseg::_base_/schedules/schedule_160k.py',
    'mmseg::_base_/default_runtime.py',
]
model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://msra/hrnetv2_w48')))
default_hooks = dict(weights=dict(type='HRNetWeightsHook'))  # load_from in every publisher's layout
