"""A checkpoint into a model, whole or not at all."""

from __future__ import annotations

from typing import Any

from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

from ..checkpoints import Checkpoint, CheckpointError
from ..checkpoints.body import body_prefixes
from ..checkpoints.fitting import fit
from ..checkpoints.reading import unwrap
from ..config.errors import ConfigError


def read_weights(path: str, *, key: str) -> Checkpoint:
    """The weights of a file or a URL.

    Args:
        path: Where they are.
        key: The argument that named it.

    Raises:
        ConfigError: if there are no weights.
    """
    try:
        return unwrap(
            CheckpointLoader.load_checkpoint(path, map_location='cpu', logger='silent'), source=path
        )
    except CheckpointError as error:
        raise ConfigError(key=key, value=path, expected=f'{error.expected}; this {error.problem}') from error


def load_checkpoint_into(model: nn.Module, weights: Checkpoint, *, key: str, config: str) -> None:
    """Load weights of any publisher's layout; every parameter gets its value.

    Args:
        model: Any model; other layouts than its own are understood where it holds one HRNet.
        weights: From ``read_weights``.
        key: The argument that named them.
        config: The model's config, for messages.

    Raises:
        ConfigError: if they are another model's.
    """
    has_hrnet = len(body_prefixes(model.state_dict())) == 1
    state, misfits = (_fitted if has_hrnet else _as_they_are)(model, weights, key=key)
    if misfits:
        raise ConfigError(
            key=key,
            value=weights.source,
            expected=f'weights of the model in {config}; {len(misfits)} of its tensors are missing or of '
            f'another shape, such as {misfits[0]}',
        )
    model.load_state_dict(state, strict=False)


def _fitted(model: nn.Module, weights: Checkpoint, *, key: str) -> tuple[dict[str, Tensor], list[str]]:
    try:
        fitted = fit(model, weights)
    except CheckpointError as error:
        raise ConfigError(
            key=key, value=weights.source, expected=f'{error.expected}; this {error.problem}'
        ) from error
    return fitted.state, [*map(str, fitted.report.other_shape), *fitted.report.missing]


def _as_they_are(model: nn.Module, weights: Checkpoint, *, key: str) -> tuple[dict[str, Tensor], list[str]]:
    own: dict[str, Any] = model.state_dict()
    state = {name: value for name, value in weights.state.items() if name in own}
    misfits = [name for name, value in own.items() if name not in state or state[name].shape != value.shape]
    return state, [name for name in misfits if not name.endswith('num_batches_tracked')]
