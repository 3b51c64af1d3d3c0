# Distribution-aware coordinates (arXiv 1910.06278): unbiased encoding, Taylor-refined decoding.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-w32_dark-8xb64-210e_coco-384x288.py',
    '_base_/hooks.py',
]
custom_imports = dict(imports=['hrnet_mm'])
model = dict(
    backbone=dict(
        _delete_=True,
        type='HRNetBackbone',
        arch='w32',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmpose/pretrain_models/hrnet_w32-36af842e.pth',
        ),
    )
)
default_hooks = _base_.hrnet_hooks
