_base_ = 'segnet_vgg16_cityscapes.py'
model = dict(backbone=dict(type='hrnet_mm.DeconvNet'))
