"""The old name of ``hrnet_mm.data.bottom_up``, for one release."""

import warnings

from .data.bottom_up import *  # noqa: F403

warnings.warn(
    'hrnet_mm.bottom_up has moved to hrnet_mm.data.bottom_up; the old name goes with hrnet_mm 0.3',
    DeprecationWarning,
    stacklevel=2,
)
