# The authors' recipe, behind the published accuracy of all nine: 4x32 images, steps after epochs 30, 60
# and 90, Nesterov. mmpretrain's HRNets differ: 0.1, cosine, plain momentum; nobody published an accuracy
# for that.
_base_ = [
    '_base_/hrnet_classifier.py',
    'mmpretrain::_base_/datasets/imagenet_bs32_pil_resize.py',
    'mmpretrain::_base_/schedules/imagenet_bs256.py',
    'mmpretrain::_base_/default_runtime.py',
    '_base_/hooks.py',
]
optim_wrapper = dict(optimizer=dict(lr=0.05, nesterov=True))
auto_scale_lr = dict(base_batch_size=128)  # 4 GPUs of 32 images
default_hooks = _base_.hrnet_hooks
