_base_ = ['mmdet::hrnet/cascade-rcnn_hrnetv2p-w32-20e_coco.py', '_base_/hooks.py']
custom_imports = dict(imports=['hrnet_mm'])
model = dict(
    backbone=dict(
        _delete_=True,
        type='HRNetBackbone',
        arch='w32',
        init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://msra/hrnetv2_w32'),
    ),
    neck=dict(type='hrnet_mm.HRFPN'),
)
default_hooks = _base_.hrnet_hooks
