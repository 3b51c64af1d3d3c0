"""The old name of ``hrnet_mm.config`` and ``hrnet_mm.training``, for one release."""

from __future__ import annotations

import warnings
from typing import Any


def __getattr__(name: str) -> Any:
    from . import config, pictures, training

    for package in (config, training, pictures):
        if name in package.__all__:
            warnings.warn(
                f'hrnet_mm.engine.{name} has moved to {package.__name__}.{name}; '
                'the old name goes with hrnet_mm 0.3',
                DeprecationWarning,
                stacklevel=2,
            )
            return getattr(package, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
