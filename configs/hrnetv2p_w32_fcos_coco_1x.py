# FCOS reads strides 8 to 128: the pyramid's 3x3 convolutions have stride 2. Images go in as BGR although the
# ImageNet weights saw RGB: so mmdet trained the models it publishes.
_base_ = ['mmdet::hrnet/fcos_hrnetv2p-w32-gn-head_4xb4-1x_coco.py', '_base_/hooks.py']
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
