# Ablation, to compare with hrnetv2_w48_cityscapes.py: the head sees the stride-4 stream alone. The paper's
# HRNetV1h, which widens that stream to V2's 720 channels, is model.decode_head.channels=720.
_base_ = 'hrnetv2_w48_cityscapes.py'
model = dict(
    backbone=dict(multiscale_output=False),
    neck=None,
    decode_head=dict(in_channels=48, channels=48, num_convs=1, kernel_size=1, norm_cfg=_base_.norm_cfg),
)
