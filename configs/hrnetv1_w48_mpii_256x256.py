_base_ = 'mmpose::body_2d_keypoint/topdown_heatmap/mpii/td-hm_hrnet-w48_8xb64-210e_mpii-256x256.py'
custom_imports = dict(imports=['hrnet_mm'])
model = dict(backbone=dict(type='HRNetBackbone'))
default_hooks = dict(weights=dict(type='HRNetWeightsHook'))  # load_from in every publisher's layout
