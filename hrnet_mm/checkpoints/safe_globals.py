"""Let ``torch.load(weights_only=True)``, the default since torch 2.6, read MMEngine's training files.

MMEngine 0.10 writes its message hub (logged scalars as ``HistoryBuffer`` over numpy arrays) and data set
meta information (numpy arrays) beside the weights; torch refuses those classes unless they are named as
safe (MMEngine issue 1655). Naming exactly them keeps hostile pickles out.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

#: dtypes that logged scalars, their counts and data set meta information are stored in
_DTYPES = (np.float64, np.float32, np.int64, np.int32, np.uint8, np.bool_)


def _numpy_internals() -> list[tuple[Callable[..., Any], str]]:
    """numpy's unpickling functions under the module names of both numpy 1 and numpy 2."""
    reconstruct: Any = np.zeros(1).__reduce__()[0]
    scalar: Any = np.float64(0).__reduce__()[0]
    return [
        (function, f'numpy.{core}.multiarray.{name}')
        for function, name in ((reconstruct, '_reconstruct'), (scalar, 'scalar'))
        for core in ('core', '_core')
    ]


#: statistics that a ``HistoryBuffer`` carries along as functions, pickled as ``getattr(HistoryBuffer, name)``
_STATISTICS = ('min', 'max', 'current', 'mean')


def _statistics_method(owner: object, name: object) -> Any:
    """Stand in for ``getattr`` in files: ``HistoryBuffer``'s own statistics and nothing else."""
    if owner is not HistoryBuffer or name not in _STATISTICS:
        raise pickle.UnpicklingError(f'getattr({owner!r}, {name!r}) in a checkpoint is not allowed')
    return getattr(HistoryBuffer, name)


def allow_training_checkpoints() -> None:
    """Name the classes of MMEngine's own training files as safe to load; harmless to repeat."""
    if not hasattr(torch.serialization, 'add_safe_globals'):
        return  # before torch 2.4 there is no such list, and weights_only is off by default
    torch.serialization.add_safe_globals(
        [
            HistoryBuffer,
            (_statistics_method, 'builtins.getattr'),
            np.ndarray,
            np.dtype,
            *(type(np.dtype(dtype)) for dtype in _DTYPES),
            *_numpy_internals(),
        ]
    )
