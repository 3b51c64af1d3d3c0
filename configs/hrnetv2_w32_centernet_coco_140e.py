# CenterNet, objects as points (arXiv 1904.07850): its head reads one map of stride 4. HRNet has that
# without the deconvolutions that ResNets need: HRNetV2's mix of all streams. Data and schedule are
# mmdet's for ResNet-18.
_base_ = ['mmdet::centernet/centernet_r18_8xb16-crop512-140e_coco.py', '_base_/hooks.py']
custom_imports = dict(imports=['hrnet_mm'])
model = dict(
    backbone=dict(
        _delete_=True,
        type='HRNetBackbone',
        arch='w32',
        norm_eval=False,  # as in mmdet's, whose batches are large
        init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://msra/hrnetv2_w32'),
    ),
    neck=dict(_delete_=True, type='HRNetV2Neck', in_channels=[32, 64, 128, 256]),
    bbox_head=dict(in_channels=480),
)
default_hooks = _base_.hrnet_hooks
