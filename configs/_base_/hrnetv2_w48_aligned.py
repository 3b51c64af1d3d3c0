# HRNetV2-W48 as the authors trained what they publish: corners aligned wherever something is enlarged, the
# loss averaged over labelled pixels, from ImageNet weights. mmseg aligns none, and averages over all pixels.
_base_ = 'hrnetv2_fcn.py'
model = dict(
    backbone=dict(
        upsample_cfg=dict(mode='bilinear', align_corners=True),
        init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://msra/hrnetv2_w48'),
    ),
    neck=dict(align_corners=True),
    decode_head=dict(align_corners=True, loss_decode=dict(avg_non_ignore=True)),
)
