"""Which networks are asked, and on what device: all that can be checked before anything is built."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from mmengine.config import Config

from ..config.errors import ConfigError
from ..config.files import require_checkpoint
from ..config.load import load_config
from ..config.paths import iter_datasets, type_name

#: Scope -> task.
TASKS: Mapping[str, str] = MappingProxyType(
    {'mmpose': 'pose', 'mmseg': 'segmentation', 'mmdet': 'detection', 'mmpretrain': 'classification'}
)
TOP_DOWN = 'TopdownPoseEstimator'
_POSE_MODELS = (TOP_DOWN, 'BottomupPoseEstimator')
_DEVICE = re.compile(r'cpu|cuda(:\d+)?')


@dataclass(frozen=True)
class NetworkFiles:
    """Which network: a config, and a checkpoint trained with it.

    Attributes:
        config: A file, or a package's own by name, see ``find_config``.
        checkpoint: A file or a URL.
        key: The argument that they were given by, for messages.
        task: What it must be for, one of the values of ``TASKS``; None for any.
    """

    config: str
    checkpoint: str
    key: str = 'CHECKPOINT'
    task: str | None = None


@dataclass(frozen=True)
class Plan:
    """A network that was looked at, and that nothing was computed with yet."""

    files: NetworkFiles
    cfg: Config

    @property
    def scope(self) -> str:
        return str(self.cfg.default_scope)

    @property
    def task(self) -> str:
        """One of the values of ``TASKS``."""
        return TASKS[self.scope]

    @property
    def kind(self) -> str:
        """What it is, for messages."""
        return f'{self.task} ({type_name(self.cfg.model.type)})'

    @property
    def is_top_down(self) -> bool:
        """Whether it looks for one person at a time, in a box."""
        return type_name(self.cfg.model.type) == TOP_DOWN


def plan_network(files: NetworkFiles) -> Plan:
    """Read a config and make sure that the checkpoint is there.

    Raises:
        ConfigError: if one of them is not usable.
    """
    plan = Plan(files, load_config(files.config))
    if not plan.cfg.get('model'):
        raise ConfigError(key='model', value=None, expected=f'a model in {files.config}')
    require_checkpoint(files.checkpoint, key=files.key)
    if files.task not in (None, plan.task):
        raise ConfigError(
            key=files.key, value=files.config, expected=f'a config for {files.task}, not for {plan.kind}'
        )
    kind = type_name(plan.cfg.model.get('type'))
    if plan.task == 'pose' and kind not in _POSE_MODELS:
        raise ConfigError(key='model.type', value=kind, expected=f'one of {", ".join(_POSE_MODELS)}')
    if not image_pipeline(plan.cfg):
        raise ConfigError(
            key='test_dataloader.dataset.pipeline',
            value=None,
            expected='a test pipeline, to prepare images by',
        )
    return plan


def require_device(device: str | None) -> str:
    """The device to compute on.

    Args:
        device: ``'cpu'``, ``'cuda'``, ``'cuda:1'``, or None for a GPU where there is one.

    Raises:
        ConfigError: if there is no such device.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device is None:
        return 'cuda' if count else 'cpu'
    if not _DEVICE.fullmatch(device):
        raise ConfigError(key='--device', value=device, expected='cpu, cuda or cuda:N')
    number = int(device.partition(':')[2] or 0)
    if device != 'cpu' and number >= count:
        raise ConfigError(key='--device', value=device, expected=f'cpu; torch finds {count} GPUs')
    return device


def image_pipeline(cfg: Config) -> list[Mapping[str, Any]]:
    """The steps that prepare an image for the network, as in testing; empty where there are none."""
    return next(
        (
            list(data['pipeline'])
            for _, data in iter_datasets(cfg, stages=('test', 'val'))
            if data.get('pipeline')
        ),
        [],
    )
