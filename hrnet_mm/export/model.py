"""A config's model, with a checkpoint's weights or without."""

from __future__ import annotations

from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.runner.checkpoint import CheckpointLoader
from torch import nn

from ..analysis.running import build
from ..checkpoints import load_weights
from ..checkpoints.reading import unwrap
from ..config.errors import ConfigError
from ..config.switches import require_checkpoint


def bare_model(cfg: Config) -> nn.Module:
    """The config's model on the CPU, in eval mode, with torch's own first weights; nothing is downloaded.

    Raises:
        ConfigError: if it can't be built.
    """
    model: nn.Module = revert_sync_batchnorm(build(cfg, device=torch.device('cpu')))
    model.eval()
    return model


def trained_model(cfg: Config, checkpoint: str | Path) -> nn.Module:
    """The config's model on the CPU, in eval mode, with every weight from a file of any publisher.

    Raises:
        ConfigError: if the model can't be built, or the file is missing or lacks some of its weights.
        CheckpointError: if the file is unreadable or of another network.
    """
    path = require_checkpoint(checkpoint, key='CHECKPOINT')
    model = bare_model(cfg)
    content = CheckpointLoader.load_checkpoint(path, map_location='cpu')
    report = load_weights(model, unwrap(content, source=path))
    lacking = [*report.missing, *(other.key for other in report.other_shape)]
    if lacking:
        raise ConfigError(
            key='CHECKPOINT',
            value=path,
            expected=f"all of the model's weights; {len(lacking)} are missing or of another shape, "
            f'such as {lacking[0]}',
        )
    return model
