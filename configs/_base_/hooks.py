# What every config adds to the hooks of its mm package. MMEngine refuses two bases that set default_hooks.
hrnet_hooks = dict(
    weights=dict(type='HRNetWeightsHook'),  # load_from in every publisher's layout
    finite=dict(type='FiniteLossHook'),  # stops before weights turn to NaN
    resume=dict(type='ExactResumeHook'),  # a resumed run equals an uninterrupted one
    checkpoint=dict(type='WholeCheckpointHook'),  # files that are whole or absent
)
