_base_ = [
    '_base_/hrnet_classifier.py',
    'mmpretrain::_base_/datasets/imagenet_bs32_pil_resize.py',
    'mmpretrain::_base_/schedules/imagenet_bs256_coslr.py',
    'mmpretrain::_base_/default_runtime.py',
]
auto_scale_lr = dict(base_batch_size=128)  # 4 GPUs of 32 images
default_hooks = dict(weights=dict(type='HRNetWeightsHook'))  # load_from in every publisher's layout
