# The authors: 4x32 images at 1e-3 without warm-up, turned by up to 60 degrees and scaled by 0.75 to 1.25.
# mmpose: 8x64 at 5e-4 (512 in auto_scale_lr, though its file loads 16), up to 80 degrees, 0.5 to 1.5;
# else the same.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/mpii/td-hm_hrnet-w32_8xb64-210e_mpii-256x256.py',
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
train_dataloader = dict(batch_size=64)
default_hooks = _base_.hrnet_hooks
