# Ablation of the representation (arXiv 1908.07919, V1 against V2): heatmaps from all streams, mixed.
_base_ = 'hrnetv1_w32_scratch_coco_256x192.py'
model = dict(
    backbone=dict(multiscale_output=True),
    neck=dict(type='HRNetV2Neck', in_channels=[32, 64, 128, 256]),
    head=dict(in_channels=480),
)
