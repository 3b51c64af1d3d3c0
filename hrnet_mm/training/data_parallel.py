"""MMEngine's distributed model, for processes without GPUs."""

from __future__ import annotations

import logging
from typing import Any

from mmengine.logging import print_log
from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from torch import nn

from ..registry import MODEL_WRAPPERS, register_in_scope


@register_in_scope(MODEL_WRAPPERS)
class CPUDistributedDataParallel(MMDistributedDataParallel):
    """``MMDistributedDataParallel`` whose synchronised batch norms become ordinary ones, with one notice.

    PyTorch and mmcv synchronise statistics on GPUs alone. Names of weights and buffers stay.

    Args:
        module: the model.
        device_ids: ignored; MMEngine passes the number of a GPU.
        **kwargs: of ``MMDistributedDataParallel``.
    """

    def __init__(self, module: nn.Module, *, device_ids: Any = None, **kwargs: Any) -> None:
        synchronised = sum(type(part).__name__ == 'SyncBatchNorm' for part in module.modules())
        if synchronised:
            print_log(
                f'{synchronised} SyncBN layers become ordinary batch norm, because statistics are '
                'synchronised on GPUs alone: each process normalises by its own batch and keeps its own '
                "running statistics; checkpoints hold the first process's",
                logger='current',
                level=logging.WARNING,
            )
            module = revert_sync_batchnorm(module)
        super().__init__(module, device_ids=None, **kwargs)
