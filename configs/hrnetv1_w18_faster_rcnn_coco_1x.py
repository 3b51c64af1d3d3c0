# Ablation of the representation (arXiv 1908.07919, V1 against V2p): the pyramid from the finest stream alone.
_base_ = 'hrnetv2p_w18_faster_rcnn_coco_1x.py'
model = dict(backbone=dict(multiscale_output=False), neck=dict(in_channels=[18]))
