"""Weights of any layout into a model of any layout."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ..models.stages import Upsampling
from .biases import settle_biases
from .body import BODY, FIRST_CONV, adapt_first_conv, describe, is_optional_fusion, last_fusion_row
from .bounds import check_plain
from .errors import CheckpointError
from .reading import Checkpoint, read_checkpoint
from .renaming import Recognised, recognise
from .report import LoadReport, OtherShape
from .upsampling_record import trained_upsampling, upsample_cfg

_RGB = 3
#: before the name of a key that the table does not know
_UNKNOWN = '?'


@dataclass(frozen=True)
class Fitted:
    """Tensors under the model's own keys, each of the model's shape, and the report."""

    state: dict[str, Tensor]
    report: LoadReport


def load_weights(
    model: nn.Module, source: str | os.PathLike[str] | Checkpoint, *, ema: bool = False
) -> LoadReport:
    """Load a checkpoint of any publisher into a backbone or a whole model.

    Args:
        model: ``HRNetBackbone``, or a model with an HRNet in it.
        source: A file, or what :func:`read_checkpoint` made of one.
        ema: As for :func:`read_checkpoint`.

    Returns:
        What was loaded and what was not. It is logged, too.

    Raises:
        CheckpointError: the file is unreadable or of another network or width; the model is as before.
    """
    checkpoint = source if isinstance(source, Checkpoint) else read_checkpoint(source, ema=ema)
    fitted = fit(model, checkpoint)
    model.load_state_dict(fitted.state, strict=False)
    fitted.report.log()
    return fitted.report


def fit(model: nn.Module, checkpoint: Checkpoint) -> Fitted:
    """Bring a checkpoint into a model's keys and shapes; the model is not changed.

    Warns where the publisher's fusions upsample otherwise than the model's.

    Raises:
        CheckpointError: the body is not the model's.
    """
    source = checkpoint.source
    check_plain(checkpoint.state, source=source)
    own_state = model.state_dict()
    own = recognise(own_state, source=type(model).__name__)
    key_of = {name: key for key, name in _names(own).items()}
    wanted = {name: own_state[key] for name, key in key_of.items()}
    file = recognise(checkpoint.state, source=source)
    ours = {name: checkpoint.state[key] for key, name in _names(file).items()}

    state, notes = _adapt_input(ours, wanted, source=source)
    state, bias_notes = _adapt_biases(state, wanted, source=source)
    _check_body(state, wanted, source=source)
    shapes = [
        OtherShape(key_of[name], tuple(state[name].shape), tuple(wanted[name].shape))
        for name in wanted
        if name in state and state[name].shape != wanted[name].shape
    ]
    odd = {shape.key for shape in shapes}
    loaded = {key_of[name]: state[name] for name in wanted if name in state and key_of[name] not in odd}
    ignored, unexpected = _leftovers(file, own, state, wanted)
    missing = (key_of[name] for name in wanted if name not in state and not _counts_batches(name))
    report = LoadReport(
        source=source,
        layout=file.layout.description,
        loaded=tuple(loaded),
        ignored=ignored,
        missing=tuple(missing),
        unexpected=unexpected,
        other_shape=tuple(shapes),
        notes=(*notes, *bias_notes, *_compare_upsampling(model, own, file, checkpoint.meta, source=source)),
    )
    return Fitted(loaded, report)


def _names(recognised: Recognised) -> dict[str, str]:
    """A name for every key; one that the table does not know is itself, and fits only the same key."""
    return {key: f'{_UNKNOWN}{key}' if name is None else name for key, name in recognised.names.items()}


def _counts_batches(name: str) -> bool:
    return name.endswith('num_batches_tracked')


def _adapt_input(
    state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], *, source: str
) -> tuple[dict[str, Tensor], list[str]]:
    """Fit a first convolution for RGB to the model's ``in_channels``."""
    state = dict(state)
    if state[FIRST_CONV].ndim != wanted[FIRST_CONV].ndim:
        return state, []  # refused with the rest of the body
    file, model = state[FIRST_CONV].shape[1], wanted[FIRST_CONV].shape[1]
    if file == model:
        return state, []
    if file != _RGB:
        raise CheckpointError(
            source=source,
            problem=f'is for images of {file} channels, and the model has in_channels={model}',
            expected=f'{model} or {_RGB} channels',
        )
    state[FIRST_CONV] = adapt_first_conv(state[FIRST_CONV], model)
    how = 'summed' if model == 1 else f'repeated and scaled by {_RGB}/{model}'
    return state, [f'first convolution adapted from {_RGB} to in_channels={model} ({how})']


def _adapt_biases(
    state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], *, source: str
) -> tuple[dict[str, Tensor], list[str]]:
    """Fold or add biases before norms as the model has them, where it has the convolution at all."""

    def has_conv(name: str) -> bool:
        return name in wanted or name.removesuffix('bias') + 'weight' in wanted

    elsewhere = {name: value for name, value in state.items() if not has_conv(name)}
    here = {name: value for name, value in state.items() if name not in elsewhere}
    settled = settle_biases(here, wanted=wanted.__contains__, source=source)
    notes = [
        f'{len(biases)} {what}'
        for biases, what in (
            (settled.folded, 'biases folded into the norms behind them'),
            (settled.added, 'biases that the file lacks set to zero'),
        )
        if biases
    ]
    return settled.state | elsewhere, notes


def _check_body(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], *, source: str) -> None:
    """Refuse another architecture; only what the publishers differ in may be absent or left over."""
    file = {name: value for name, value in state.items() if name.startswith(BODY)}
    model = {name: value for name, value in wanted.items() if name.startswith(BODY)}
    misfits = [
        *(name for name in file.keys() & model.keys() if file[name].shape != model[name].shape),
        *(name for name in model.keys() - file.keys() if not _may_be_absent(name, model, file)),
        *(name for name in file.keys() - model.keys() if not _may_be_left_over(name, file, model)),
    ]
    if misfits:
        raise CheckpointError(
            source=source,
            problem=f'is of another architecture ({describe(file)}; {len(misfits)} tensors do not fit, '
            f'such as {min(misfits).removeprefix(BODY)})',
            expected=f"the model's ({describe(model)})",
        )


def _may_be_absent(name: str, model: Mapping[str, Tensor], file: Mapping[str, Tensor]) -> bool:
    # deformable convolutions have offsets that no ImageNet file brings
    return _counts_batches(name) or '.conv_offset.' in name or _is_of_a_spare_row(name, model, file)


def _may_be_left_over(name: str, file: Mapping[str, Tensor], model: Mapping[str, Tensor]) -> bool:
    return _counts_batches(name) or _is_of_a_spare_row(name, file, model)


def _is_of_a_spare_row(name: str, those: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> bool:
    """Whether a key belongs to a row of the last fusion of which the others have nothing."""
    row = last_fusion_row(name)
    return (
        row is not None and is_optional_fusion(name, those) and not any(key.startswith(row) for key in others)
    )


def _leftovers(
    file: Recognised, own: Recognised, state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Keys of the file without a place in the model: those to be expected, and the others."""
    headless = all(name.startswith(BODY) for name in wanted)
    another_head = headless or file.layout.task != own.layout.task
    # a folded bias is in neither, and did find its place
    homeless = state.keys() - wanted.keys()
    without = {key: name for key, name in _names(file).items() if name in homeless}
    expected = {key for key, name in without.items() if another_head or name.startswith((BODY, _UNKNOWN))}
    return (
        tuple(key for key in without if key in expected),
        tuple(key for key in without if key not in expected),
    )


def _compare_upsampling(
    model: nn.Module, own: Recognised, file: Recognised, meta: Mapping[str, Any], *, source: str
) -> list[str]:
    """Warn where the publisher's fusions upsample otherwise than the model's."""
    ours = getattr(model.get_submodule(own.prefix.rstrip('.')), 'upsampling', None)
    theirs = trained_upsampling(meta) or file.layout.upsampling
    if not isinstance(ours, Upsampling) or theirs is None or ours == theirs:
        return []
    message = (
        f'trained with upsample_cfg={upsample_cfg(theirs)}, '
        f'and the model is set to upsample_cfg={upsample_cfg(ours)}'
    )
    warnings.warn(
        f"checkpoint {source} was {message}: outputs differ from the publisher's until it is fine-tuned; "
        'set upsample_cfg of the backbone to use the weights as they are',
        stacklevel=4,
    )
    return [message]
