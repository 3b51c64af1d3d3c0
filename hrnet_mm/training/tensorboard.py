"""TensorBoard beside MMEngine's own log, switched on by one option or one line of a config."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.visualization import LocalVisBackend, TensorboardVisBackend

from ..config.errors import ConfigError
from ..config.paths import type_name
from ..registry import VISBACKENDS, register_in_scope

_KEY = 'visualizer.vis_backends'
_OURS = 'LocalTensorboardVisBackend'


@register_in_scope(VISBACKENDS)
class LocalTensorboardVisBackend(LocalVisBackend):
    """MMEngine's files of scalars, config and pictures, and TensorBoard's event file in the same folder.

    Every config of the four packages has a ``LocalVisBackend`` first, so that one option puts this in its
    place: ``--cfg-options visualizer.vis_backends.0.type=LocalTensorboardVisBackend``.
    ``tools/plot_log.py`` still finds its file.

    Args:
        save_dir: folder to write to; the runner gives it.
        **files: as in ``LocalVisBackend``.

    Raises:
        ConfigError: TensorBoard is not installed.
    """

    def __init__(self, save_dir: str, **files: str) -> None:
        super().__init__(save_dir, **files)
        require_tensorboard(_OURS)
        self._board = TensorboardVisBackend(save_dir)

    def add_config(self, config: Config, **kwargs: Any) -> None:
        super().add_config(config, **kwargs)
        self._board.add_config(config, **kwargs)

    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs: Any) -> None:
        super().add_image(name, image, step, **kwargs)
        self._board.add_image(name, image, step, **kwargs)

    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        super().add_scalar(name, value, step, **kwargs)
        self._board.add_scalar(name, value, step, **kwargs)

    def add_scalars(
        self, scalar_dict: Mapping[str, Any], step: int = 0, file_path: str | None = None, **kwargs: Any
    ) -> None:
        super().add_scalars(scalar_dict, step, file_path, **kwargs)
        self._board.add_scalars(scalar_dict, step, file_path, **kwargs)

    def close(self) -> None:
        super().close()
        self._board.close()


def check_tensorboard(cfg: Config) -> None:
    """Make sure that TensorBoard is installed where a config asks for it.

    MMEngine finds out when it writes for the first time.

    Raises:
        ConfigError: it is not.
    """
    visualizer = cfg.get('visualizer') or {}
    for backend in visualizer.get('vis_backends') or ():
        kind = type_name(backend['type'])
        if kind in (_OURS, 'TensorboardVisBackend'):
            require_tensorboard(kind)


def require_tensorboard(kind: str) -> None:
    """Make sure that TensorBoard is installed.

    Args:
        kind: of the backend that needs it.

    Raises:
        ConfigError: it is not.
    """
    try:
        import_module('torch.utils.tensorboard')
    except ImportError as error:
        raise ConfigError(
            key=_KEY, value=kind, expected='an installed tensorboard: pip install tensorboard'
        ) from error
