# The authors: 4x32 images at 1e-3 without warm-up, turned by up to 90 degrees and scaled by 0.65 to 1.35.
# mmpose: 8x64 at 5e-4 after 500 iterations of warm-up, up to 80 degrees, 0.5 to 1.5, and shifts of boxes.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-w32_8xb64-210e_coco-256x192.py',
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
