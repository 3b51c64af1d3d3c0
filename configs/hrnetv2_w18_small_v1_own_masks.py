# First check on your own segmentation data: learn a handful of images without augmentation, test on the
# same. tools/coco_to_masks.py makes the masks from the polygons of a COCO file.
_base_ = [
    '_base_/hrnetv2_fcn.py',
    'mmseg::_base_/schedules/schedule_160k.py',
    'mmseg::_base_/default_runtime.py',
]
data_root = 'data/own/'
crop_size = (384, 512)
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(arch='w18_small_v1'),
    neck=dict(in_channels=[16, 32, 64, 128]),
    decode_head=dict(in_channels=240, channels=240, num_classes=2),
)
_dataset = dict(
    type='hrnet_mm.SegmentationFolder',
    data_root=data_root,
    metainfo=dict(classes=('background', 'person'), palette=[[60, 60, 60], [220, 20, 60]]),
    data_prefix=dict(img_path='', seg_map_path='masks'),
    img_suffix=('.jpg', '.jpeg', '.png', '.JPG', '.JPEG', '.PNG'),
    seg_map_suffix='.png',
)
_resize = dict(type='Resize', scale=(512, 384), keep_ratio=False)
train_dataloader = dict(
    batch_size=4,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        **_dataset,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            _resize,
            dict(type='PackSegInputs'),
        ],
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        **_dataset,
        pipeline=[
            dict(type='LoadImageFromFile'),
            _resize,
            dict(type='LoadAnnotations'),  # after the resize: metrics are taken at the original size
            dict(type='PackSegInputs'),
        ],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
train_cfg = dict(max_iters=70, val_interval=70)
optim_wrapper = dict(optimizer=dict(lr=0.05))
param_scheduler = [dict(type='PolyLR', eta_min=1e-4, power=0.9, begin=0, end=70, by_epoch=False)]
default_hooks = dict(
    guard=dict(type='hrnet_mm.RunGuardHook'),
    checkpoint=dict(type='hrnet_mm.WholeCheckpointHook', interval=70),
    logger=dict(interval=10),
    weights=dict(type='hrnet_mm.HRNetWeightsHook'),
    finite=dict(type='hrnet_mm.FiniteLossHook'),
    resume=dict(type='hrnet_mm.ExactResumeHook'),
)
