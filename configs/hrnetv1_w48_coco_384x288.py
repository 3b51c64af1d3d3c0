_base_ = 'mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-w48_8xb32-210e_coco-384x288.py'
custom_imports = dict(imports=['hrnet_mm'])
model = dict(backbone=dict(type='HRNetBackbone'))
default_hooks = dict(weights=dict(type='HRNetWeightsHook'))  # load_from in every publisher's layout
