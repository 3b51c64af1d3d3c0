# Bottom-up: keypoints of all people at once, grouped by associative embedding (arXiv 1611.05424). mmpose
# ships it for testing alone. Training is that of HigherHRNet's repository: images scaled by 0.75 to 1.5,
# turned by up to 30 degrees, moved by up to a fifth; 1e-3 for 12 images a GPU there, 1.5e-3 for 8x24 here.
_base_ = [
    'mmpose::body_2d_keypoint/associative_embedding/coco/ae_hrnet-w32_8xb24-300e_coco-512x512.py',
    '_base_/hooks.py',
]
custom_imports = dict(imports=['hrnet_mm', 'hrnet_mm.data.bottom_up'])
model = dict(
    backbone=dict(
        _delete_=True,
        type='HRNetBackbone',
        arch='w32',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmpose/pretrain_models/hrnet_w32-36af842e.pth',
        ),
    ),
    head=dict(
        keypoint_loss=dict(_delete_=True, type='ValidRegionMSELoss'),
        tag_loss=dict(loss_weight=0.001 / 24),  # mmpose sums over the batch, the authors take the mean
    ),
)
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='BottomupRandomAffine', input_size=(512, 512)),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='GenerateTarget', encoder=_base_.codec),
    dict(type='MaskUnannotatedPeople'),
    dict(type='KeepKeypointIndices'),
    dict(type='PackPoseInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
default_hooks = _base_.hrnet_hooks
