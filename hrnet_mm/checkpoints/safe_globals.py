"""Let ``torch.load(weights_only=True)``, the default since torch 2.6, read MMEngine's training files.

MMEngine 0.10 writes its message hub (logged scalars as ``HistoryBuffer`` over numpy arrays) and data set
meta information (numpy arrays) beside the weights; torch refuses those classes unless they are named as
safe (MMEngine issue 1655). Naming exactly them keeps hostile pickles out.
"""

from __future__ import annotations

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

#: dtypes that logged scalars, their counts and data set meta information are stored in
_DTYPES = (np.float64, np.float32, np.int64, np.int32, np.uint8, np.bool_)


def _numpy_internals() -> list[object]:
    """numpy's unpickling functions under the module names of both numpy 1 and numpy 2."""
    reconstruct = np.zeros(1).__reduce__()[0]
    scalar = np.float64(0).__reduce__()[0]
    return [
        (function, f'numpy.{core}.multiarray.{name}')
        for function, name in ((reconstruct, '_reconstruct'), (scalar, 'scalar'))
        for core in ('core', '_core')
    ]


def allow_training_checkpoints() -> None:
    """Name the classes of MMEngine's own training files as safe to load; harmless to repeat."""
    if not hasattr(torch.serialization, 'add_safe_globals'):
        return  # before torch 2.4 there is no such list, and weights_only is off by default
    torch.serialization.add_safe_globals(
        [
            HistoryBuffer,
            np.ndarray,
            np.dtype,
            *(type(np.dtype(dtype)) for dtype in _DTYPES),
            *_numpy_internals(),
        ]
    )
