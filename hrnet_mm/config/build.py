"""From a config to a model on a device, with its weights: models are built here and by MMEngine's Runner."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..checkpoints import Checkpoint, body_prefixes, fit, read_checkpoint, unwrap
from .codebases import import_models, require_scope
from .errors import ConfigError, refused
from .files import is_remote, require_checkpoint


def build_module(settings: Mapping[str, Any], *, scope: str, device: str = 'cpu') -> nn.Module:
    """A module from its config, which stays as it is.

    Args:
        settings: With ``type``, as in ``cfg.model`` or ``cfg.model.backbone``.
        scope: MMEngine scope to build it in.
        device: ``'meta'`` for one that takes no memory and holds no numbers.

    Raises:
        Exception: whatever its constructor raises.
    """
    import_models(scope)
    with (
        DefaultScope.overwrite_default_scope(scope),
        torch.device(device),
        _LinspaceOnCPU(),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter('ignore')  # a model that is trained gives them again
        module: nn.Module = MODELS.build(copy.deepcopy(dict(settings)))  # mmseg writes into what it is given
    return module


def build_light(settings: Mapping[str, Any], *, scope: str) -> nn.Module:
    """A module to look at: on the meta device, or with real weights if its constructor computes with them.

    Args and errors are those of ``build_module``.
    """
    try:
        return build_module(settings, scope=scope, device='meta')
    except Exception:  # other people's code
        return build_module(settings, scope=scope)


def build_model(cfg: Config, *, device: str = 'cpu') -> nn.Module:
    """The config's model in eval mode, with torch's own first weights; nothing is downloaded.

    As in MMEngine's Runner, a ``data_preprocessor`` beside the model is the model's. Norms synchronised
    over processes become those of one.

    Raises:
        ConfigError: if the config has no model, or one that can't be built.
    """
    if cfg.get('model') is None:
        raise ConfigError(key='model', value=None, expected='a config with a model')
    scope = require_scope(cfg)
    import_models(scope)
    settings = dict(cfg.model)
    if cfg.get('data_preprocessor') is not None:
        settings.setdefault('data_preprocessor', cfg.data_preprocessor)
    with refused('model.type', cfg.model.get('type'), expected='a model that can be built'):
        model: nn.Module = revert_sync_batchnorm(build_module(settings, scope=scope, device=device))
    model.eval()  # not chained: mmpose's HRNet.train() returns nothing
    return model


def image_channels(model: nn.Module) -> int:
    """How many channels of an image a model takes: those of its first convolution."""
    return next((each.in_channels for each in model.modules() if isinstance(each, nn.Conv2d)), 3)


def read_weights(checkpoint: str | Path, *, key: str = 'CHECKPOINT') -> Checkpoint:
    """The weights of a file or a URL, of any publisher.

    Args:
        checkpoint: Path or URL.
        key: The argument or config key that named it, for messages.

    Raises:
        ConfigError: if there is no such file.
        CheckpointError: if it holds no weights.
    """
    path = require_checkpoint(checkpoint, key=key)
    if not is_remote(path):
        return read_checkpoint(path)
    return unwrap(CheckpointLoader.load_checkpoint(path, map_location='cpu', logger='silent'), source=path)


def build_trained(
    cfg: Config, checkpoint: str | Path | Checkpoint, *, key: str = 'CHECKPOINT', device: str = 'cpu'
) -> nn.Module:
    """The config's model in eval mode, with every weight from a checkpoint.

    Args:
        cfg: A config; it is not changed.
        checkpoint: Path or URL, or what :func:`read_weights` made of it. Every publisher's layout is
            understood where the model holds one HRNet, and otherwise the model's own.
        key: The argument or config key that named the checkpoint, for messages.
        device: Where the model goes.

    Raises:
        ConfigError: if the model can't be built, or the file is missing or lacks some of the weights.
        CheckpointError: if the file is unreadable or of another network.
    """
    weights = checkpoint if isinstance(checkpoint, Checkpoint) else read_weights(checkpoint, key=key)
    model = build_model(cfg)
    load_complete(model, weights, key=key, config=cfg.filename)
    return model.to(device)


def load_complete(model: nn.Module, weights: Checkpoint, *, key: str, config: str | None = None) -> None:
    """Load a checkpoint that has every weight of a model, which may be on the meta device.

    Args:
        model: With one HRNet, so that every publisher's layout is understood, or in its own layout.
        weights: The checkpoint's.
        key: The argument or config key that named it, for messages.
        config: The file that the model is from, for messages.

    Raises:
        ConfigError: if some weights are missing or of another shape.
        CheckpointError: if the backbone is of another architecture.
    """
    own = model.state_dict()
    with warnings.catch_warnings(record=True) as told:  # said below, of weights that fit
        if len(body_prefixes(own)) == 1:
            state = fit(model, weights).state
        else:
            same = {
                name
                for name, value in weights.state.items()
                if name in own and value.shape == own[name].shape
            }
            state = {name: value for name, value in weights.state.items() if name in same or name not in own}
    missing = model.load_state_dict(state, strict=False).missing_keys
    lacking = [name for name in missing if not name.endswith('num_batches_tracked')]
    if lacking:
        expected = (
            f'all weights of the model in {config or "the config"}; {len(lacking)} are missing or of another '
            f'shape, such as {lacking[0]}'
        )
        raise ConfigError(key=key, value=weights.source, expected=expected)
    for each in told:
        warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


@dataclass(frozen=True)
class ImageFormat:
    """How pixels become a network's inputs: ``(pixel - mean) / std`` per channel.

    Attributes:
        mean: Of pixels from 0 to 255, in the network's order of channels.
        std: The same.
        rgb: Whether that order is RGB, BGR otherwise.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    rgb: bool

    @classmethod
    def of(cls, cfg: Config) -> ImageFormat:
        """What the config's data preprocessor does; without a mean, pixels stay as they are."""
        found: Any = cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}
        rgb = found.get('bgr_to_rgb', False) or found.get('to_rgb', False)  # of images read as BGR
        return cls(tuple(found.get('mean') or (0.0,)), tuple(found.get('std') or (1.0,)), bool(rgb))

    def inputs(self, pixels: npt.NDArray[Any]) -> Tensor:
        """Pixels ``(H, W)`` or ``(H, W, C)`` as a pipeline reads them -> inputs ``(1, C, H, W)``, float32."""
        image = pixels[..., None] if pixels.ndim == 2 else pixels
        ordered = image[..., ::-1] if self.rgb and image.shape[-1] == 3 else image
        mean, std = (np.array(values, np.float32) for values in (self.mean, self.std))
        normalised = (ordered.astype(np.float32) - mean) / std
        return torch.from_numpy(np.ascontiguousarray(normalised.transpose(2, 0, 1)))[None]

    def __str__(self) -> str:
        mean, std = (', '.join(f'{value:g}' for value in values) for values in (self.mean, self.std))
        order = 'channels as read' if len(self.mean) != 3 else 'RGB' if self.rgb else 'BGR'
        return f'{order}, (pixel - mean) / std with mean ({mean}) and std ({std})'


class _LinspaceOnCPU(TorchFunctionMode):
    """Keep ``torch.linspace`` off the meta device: constructors read drop path rates from it."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.linspace:
            kwargs.setdefault('device', 'cpu')
        return func(*args, **kwargs)
