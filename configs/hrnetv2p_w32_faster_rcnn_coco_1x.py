# The authors clip gradients at norm 35, warm up from a third of the learning rate (mmdet: a thousandth)
# and test with 2000 proposals (mmdet: 1000); else the same.
_base_ = ['mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py', '_base_/hooks.py']
custom_imports = dict(imports=['hrnet_mm'])
model = dict(
    backbone=dict(
        _delete_=True,
        type='HRNetBackbone',
        arch='w32',
        init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://msra/hrnetv2_w32'),
    ),
    neck=dict(_delete_=True, type='hrnet_mm.HRFPN', in_channels=[32, 64, 128, 256], out_channels=256),
)
default_hooks = _base_.hrnet_hooks
