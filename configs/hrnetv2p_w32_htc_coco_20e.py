# Hybrid task cascade (arXiv 1901.07518); trains with the stuff maps of data/coco/stuffthingmaps as well.
_base_ = ['mmdet::hrnet/htc_hrnetv2p-w32_20e_coco.py', '_base_/hooks.py']
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
