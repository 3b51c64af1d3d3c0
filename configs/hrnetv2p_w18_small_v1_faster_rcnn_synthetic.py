# The demo's detection model: drawn people and cars in COCO's layout, on a CPU in minutes.
_base_ = 'hrnetv2p_w18_faster_rcnn_coco_1x.py'
data_root = 'demo_output/data/coco/'
metainfo = dict(classes=('person', 'car'), palette=[(220, 20, 60), (0, 60, 200)])
model = dict(
    backbone=dict(_delete_=True, type='HRNetBackbone', arch='w18_small_v1', norm_eval=False),
    neck=dict(in_channels=[16, 32, 64, 128], out_channels=64),
    rpn_head=dict(in_channels=64, feat_channels=64),
    roi_head=dict(
        # two samples a bin: a CPU spends more on RoIAlign than on the network otherwise
        bbox_roi_extractor=dict(out_channels=64, roi_layer=dict(sampling_ratio=2)),
        bbox_head=dict(in_channels=64, fc_out_channels=256, num_classes=2),
    ),
    train_cfg=dict(rpn_proposal=dict(nms_pre=500, max_per_img=200), rcnn=dict(sampler=dict(num=128))),
    test_cfg=dict(rpn=dict(nms_pre=500, max_per_img=200)),
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale_factor=1.0),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
train_dataloader = dict(
    batch_size=4,
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
    batch_sampler=None,
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        filter_cfg=dict(filter_empty_gt=True, min_size=4),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(dataset=dict(data_root=data_root, metainfo=metainfo, pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/instances_val2017.json')
test_evaluator = val_evaluator

iterations = 360
train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=iterations, val_begin=iterations + 1)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=7e-4, weight_decay=1e-4),
    clip_grad=dict(max_norm=10),
)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=20, start_factor=0.01, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=20, end=iterations, T_max=iterations - 20, by_epoch=False),
]
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=iterations), logger=dict(interval=20))
custom_hooks = [dict(type='hrnet_mm.TrainProgressHook')]
log_processor = dict(by_epoch=False, window_size=20)
log_level = 'WARNING'
randomness = dict(seed=0)
