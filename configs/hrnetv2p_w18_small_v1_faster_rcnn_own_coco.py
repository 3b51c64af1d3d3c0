# First check on your own box data: learn a handful of images without augmentation, test on the same.
_base_ = 'hrnetv2p_w18_faster_rcnn_coco_1x.py'
data_root = 'data/own/'
ann_file = 'person_keypoints.json'
classes = ('person',)
model = dict(
    backbone=dict(_delete_=True, type='HRNetBackbone', arch='w18_small_v1', norm_eval=False),
    neck=dict(in_channels=[16, 32, 64, 128], out_channels=64),
    rpn_head=dict(in_channels=64, feat_channels=64),
    roi_head=dict(
        # two samples a bin: a CPU spends more on RoIAlign than on the network otherwise
        bbox_roi_extractor=dict(out_channels=64, roi_layer=dict(sampling_ratio=2)),
        bbox_head=dict(in_channels=64, fc_out_channels=256, num_classes=len(classes)),
    ),
    train_cfg=dict(rcnn=dict(sampler=dict(num=128))),
)
_dataset = dict(
    type='CocoDataset',
    data_root=data_root,
    ann_file=ann_file,
    metainfo=dict(classes=classes),
    data_prefix=dict(img=''),
)
_load = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(512, 384), keep_ratio=True),
]
train_dataloader = dict(
    batch_size=4, dataset=dict(**_dataset, _delete_=True, pipeline=[*_load, dict(type='PackDetInputs')])
)
val_dataloader = dict(
    dataset=dict(
        **_dataset,
        _delete_=True,
        test_mode=True,
        pipeline=[
            *_load,
            dict(
                type='PackDetInputs',
                meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
            ),
        ],
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + ann_file)
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=70, val_interval=70)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=1e-4),
    clip_grad=dict(max_norm=10),
)
# in epochs, which MMEngine converts: as long as the run for any number of images
_epochs = dict(by_epoch=True, convert_to_iter_based=True)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=10, start_factor=0.01, **_epochs),
    dict(type='CosineAnnealingLR', begin=10, end=70, T_max=60, eta_min=1e-5, **_epochs),
]
default_hooks = dict(checkpoint=dict(interval=70), logger=dict(interval=10))
