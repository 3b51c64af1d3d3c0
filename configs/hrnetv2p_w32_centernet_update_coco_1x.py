# CenterNet2's first stage (arXiv 2103.07461) on HRNetV2p: it reads strides 8 to 128, so the pyramid's 3x3
# convolutions have stride 2, as for FCOS. Images are normalised as HRNet's ImageNet weights want it.
_base_ = ['mmdet::centernet/centernet-update_r50-caffe_fpn_ms-1x_coco.py', '_base_/hooks.py']
custom_imports = dict(imports=['hrnet_mm'])
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
    backbone=dict(
        _delete_=True,
        type='HRNetBackbone',
        arch='w32',
        init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://msra/hrnetv2_w32'),
    ),
    neck=dict(
        _delete_=True, type='hrnet_mm.HRFPN', in_channels=[32, 64, 128, 256], out_channels=256, stride=2
    ),
)
default_hooks = _base_.hrnet_hooks
