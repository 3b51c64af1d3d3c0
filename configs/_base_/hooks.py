# What every config adds to the hooks of its mm package. MMEngine refuses two bases that set default_hooks.
hrnet_hooks = dict(
    guard=dict(type='hrnet_mm.RunGuardHook'),  # model and data checked first; ends told in one line
    weights=dict(type='hrnet_mm.HRNetWeightsHook'),  # load_from in every publisher's layout
    finite=dict(type='hrnet_mm.FiniteLossHook'),  # stops before weights turn to NaN
    resume=dict(type='hrnet_mm.ExactResumeHook'),  # a resumed run equals an uninterrupted one
    checkpoint=dict(type='hrnet_mm.WholeCheckpointHook'),  # files that are whole or absent
)
