# The authors lower the learning rate after epochs 20 and 23, mmdet after 16 and 22; see also
# hrnetv2p_w32_faster_rcnn_coco_1x.py.
_base_ = ['mmdet::hrnet/faster-rcnn_hrnetv2p-w32_2x_coco.py', '_base_/hooks.py']
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
