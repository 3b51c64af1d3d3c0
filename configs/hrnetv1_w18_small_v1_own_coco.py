# First check on your own keypoint data: learn a handful of images without augmentation, test on the same.
# Once that works, point val_* at held-out images and take the pipelines of hrnetv1_w32_coco_256x192.py.
_base_ = 'hrnetv1_w32_coco_256x192.py'
data_root = 'data/own/'
ann_file = 'person_keypoints.json'
codec = dict(type='UDPHeatmap', input_size=(192, 256), heatmap_size=(48, 64), sigma=2)
model = dict(
    backbone=dict(
        _delete_=True,
        type='HRNetBackbone',
        arch='w18_small_v1',
        # mmpose's own start, a normal of 0.001, is made for ImageNet weights and learns slowly without
        init_cfg=[
            dict(type='Kaiming', layer='Conv2d'),
            dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm']),
        ],
    ),
    head=dict(in_channels=16, decoder=codec),
    test_cfg=dict(flip_test=False),
)
_load = [dict(type='LoadImage'), dict(type='GetBBoxCenterScale')]
_crop = dict(type='TopdownAffine', input_size=codec['input_size'], use_udp=True)
_dataset = dict(
    type='CocoDataset', data_mode='topdown', data_root=data_root, ann_file=ann_file, data_prefix=dict(img='')
)
train_dataloader = dict(
    batch_size=6,
    dataset=dict(
        **_dataset,
        _delete_=True,
        pipeline=[*_load, _crop, dict(type='GenerateTarget', encoder=codec), dict(type='PackPoseInputs')],
    ),
)
val_dataloader = dict(
    dataset=dict(
        **_dataset, _delete_=True, test_mode=True, pipeline=[*_load, _crop, dict(type='PackPoseInputs')]
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + ann_file)
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=40, val_interval=40)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
# in epochs, which MMEngine converts: as long as the run for any number of images
_epochs = dict(by_epoch=True, convert_to_iter_based=True)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=5, start_factor=0.01, **_epochs),
    dict(type='CosineAnnealingLR', begin=5, end=40, T_max=35, eta_min=1e-5, **_epochs),
]
default_hooks = dict(checkpoint=dict(interval=40), logger=dict(interval=10))
