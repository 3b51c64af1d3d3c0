"""Weights of any layout into a model of any layout, and the report of what became of them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..models.stages import Upsampling
from .files import CheckpointError
from .layouts import BEFORE_NORMS
from .names import BODY, UNKNOWN, Recognised, recognise, rename
from .reading import Checkpoint, read_checkpoint, upsample_cfg
from .report import LoadReport

_RGB = 3
_FIRST_CONV = f'{BODY}conv1.weight'
_COUNTER = 'num_batches_tracked'  # of norms; not every publisher has it


class Fitted(NamedTuple):
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
    state, report = fit(model, checkpoint)
    model.load_state_dict(state, strict=False)
    report.log()
    return report


def fit(model: nn.Module, checkpoint: Checkpoint) -> Fitted:
    """Bring a checkpoint into a model's keys and shapes; the model is not changed.

    Warns where the publisher's fusions upsample otherwise than the model's.

    Raises:
        CheckpointError: the body is not the model's.
    """
    own_state, source = model.state_dict(), checkpoint.source
    own = recognise(own_state, source=type(model).__name__)
    file = recognise(checkpoint.state, source=source)
    # from here on by our names; one that is unknown fits only the same key
    wanted = {name: own_state[key] for key, name in own.names.items()}
    state = {name: checkpoint.state[key] for key, name in file.names.items()}
    notes = _adapt_first_conv(state, wanted, source=source)
    biased = {name: _bias_of(name) in wanted for name in wanted}
    folded, added = settle_biases(state, biased=biased, source=source)
    notes += [f'{len(folded)} biases folded into the norms behind them'] if folded else []
    notes += [f'{len(added)} biases that the file lacks set to zero'] if added else []
    _check_body(state, wanted, source=source)
    notes += _compare_upsampling(model, own, file, checkpoint)
    return _place(own, file, wanted=wanted, state=state, source=source, notes=notes)


def _place(
    own: Recognised,
    file: Recognised,
    *,
    wanted: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    source: str,
    notes: Sequence[str],
) -> Fitted:
    """Give each of the model's keys the tensor of the same name, and tell what is left on both sides."""
    fitting, missing, other_shape = {}, [], {}
    for key, name in own.names.items():
        if name not in state:
            missing += [] if name.endswith(_COUNTER) else [key]
        elif state[name].shape != wanted[name].shape:
            other_shape[key] = f'file {_dims(state[name])}, model {_dims(wanted[name])}'
        else:
            fitting[key] = state[name]
    headless = all(name.startswith(BODY) for name in own.names.values())
    no_head_fits = headless or file.layout.task != own.layout.task
    homeless = [key for key, name in file.names.items() if name in state and name not in wanted]
    expected = {key for key in homeless if no_head_fits or file.names[key].startswith((BODY, UNKNOWN))}
    report = LoadReport(
        source=source,
        layout=file.layout.description,
        loaded=tuple(fitting),
        ignored=tuple(key for key in homeless if key in expected),
        missing=tuple(missing),
        unexpected=tuple(key for key in homeless if key not in expected),
        other_shape=other_shape,
        notes=tuple(notes),
    )
    return Fitted(fitting, report)


def _dims(value: Tensor) -> str:
    return 'x'.join(map(str, value.shape)) or 'scalar'


def _adapt_first_conv(state: dict[str, Tensor], wanted: Mapping[str, Tensor], *, source: str) -> list[str]:
    """Fit, in ``state``, a first convolution for RGB to the model's ``in_channels``; notes of it.

    One channel gets the sum, which is what the convolution does to a grey image in RGB. More get the three
    in turn, scaled by ``3 / in_channels``, so that activations keep their size.
    """
    weight, model = state[_FIRST_CONV], wanted[_FIRST_CONV].shape[1]
    if weight.ndim != 4 or weight.shape[1] == model:
        return []  # what has another shape in other respects is refused with the rest of the body
    if weight.shape[1] != _RGB:
        raise CheckpointError(
            source=source,
            problem=f'is for images of {weight.shape[1]} channels, and the model has in_channels={model}',
            expected=f'{model} or {_RGB} channels',
        )
    if model == 1:
        state[_FIRST_CONV], how = weight.sum(dim=1, keepdim=True), 'summed'
    else:
        turn = torch.arange(model, device=weight.device) % _RGB
        state[_FIRST_CONV], how = weight[:, turn] * (_RGB / model), f'repeated and scaled by {_RGB}/{model}'
    return [f'first convolution adapted from {_RGB} to in_channels={model} ({how})']


def _bias_of(weight: str) -> str:
    return f'{weight.removesuffix("weight")}bias'


def settle_biases(
    state: dict[str, Tensor], *, biased: Mapping[str, bool], source: object
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Fold or add biases before norms, so that those are there that are wanted, with the same outputs.

    ``norm(conv(x) + b)`` with running mean ``m`` equals ``norm(conv(x))`` with running mean ``m - b``.

    Args:
        state: Tensors in our names, to be changed.
        biased: The target's weights, and whether the bias of each is wanted.
        source: For errors.

    Returns:
        The biases that were folded, and those that were added.

    Raises:
        CheckpointError: a bias stands before a norm without running statistics, or of another width, where
            it cannot go.
    """
    folded, added = [], []
    for weight in [name for name in biased if name in state and name.endswith('.weight')]:
        norm, bias = rename(weight, BEFORE_NORMS), _bias_of(weight)
        if norm is None or state[weight].ndim < 2 or (bias in state) == biased[weight]:
            continue
        if biased[weight]:
            state[bias] = state[weight].new_zeros(state[weight].shape[0])
            added.append(bias)
            continue
        mean = f'{norm.removesuffix("weight")}running_mean'
        if mean not in state or state[mean].shape != state[bias].shape:
            raise CheckpointError(
                source=source,
                problem=f'has the bias {bias} before a norm without {mean} of the same shape',
                expected='a batch norm there, to fold the bias into',
            )
        state[mean] = state[mean] - state.pop(bias)
        folded.append(bias)
    return tuple(folded), tuple(added)


def _check_body(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], *, source: str) -> None:
    """Refuse another architecture; only what the publishers differ in may be absent or left over.

    The last fusion has a row for each stream that is produced, the finest alone in HRNetV1: whole rows of
    it may be absent. So may the offsets of deformable convolutions, which no ImageNet file brings.
    """
    file, model = (
        {name: value for name, value in each.items() if name.startswith(BODY)} for each in (state, wanted)
    )
    misfits = [name for name in file.keys() & model.keys() if file[name].shape != model[name].shape]
    for these, others, may_be_alone in ((file, model, ()), (model, file, ('.conv_offset.',))):
        last = f'stage4.{len(_children(these, "stage4")) - 1}.fuse_layers'
        spare = tuple(f'{BODY}{last}.{row}.' for row in _children(these, last) - _children(others, last))
        alone = (name for name in these.keys() - others.keys() if not name.startswith(spare))
        misfits += [name for name in alone if not any(part in name for part in (_COUNTER, *may_be_alone))]
    if misfits:
        raise CheckpointError(
            source=source,
            problem=f'is of another architecture ({_architecture(file)}; {len(misfits)} tensors do not fit, '
            f'such as {min(misfits).removeprefix(BODY)})',
            expected=f"the model's ({_architecture(model)})",
        )


def _children(names: Collection[str], part: str) -> set[str]:
    """The numbers of the modules under a part of the body."""
    stem = f'{BODY}{part}.'
    return {name.removeprefix(stem).partition('.')[0] for name in names if name.startswith(stem)}


def _architecture(state: Mapping[str, Tensor]) -> str:
    """In a few words, from keys and shapes in our names."""
    widths: list[str] = []
    while (weight := state.get(f'{BODY}stage4.0.branches.{len(widths)}.0.conv1.weight')) is not None:
        widths.append(_dims(weight).partition('x')[0])
    layer1, *modules, blocks = (
        len(_children(state, part))
        for part in ('layer1', 'stage2', 'stage3', 'stage4', 'stage4.0.branches.0')
    )
    return (
        f'channels {"/".join(widths)}, layer1 of {layer1}, '
        f'{"-".join(map(str, modules))} modules of {blocks} blocks'
    )


def _compare_upsampling(
    model: nn.Module, own: Recognised, file: Recognised, checkpoint: Checkpoint
) -> list[str]:
    """Warn where the publisher's fusions upsample otherwise than the model's."""
    ours = getattr(model.get_submodule(own.prefix.rstrip('.')), 'upsampling', None)
    theirs = checkpoint.trained_upsampling() or file.layout.upsampling
    if not isinstance(ours, Upsampling) or theirs is None or ours == theirs:
        return []
    message = (
        f'trained with upsample_cfg={upsample_cfg(theirs)}, '
        f'and the model is set to upsample_cfg={upsample_cfg(ours)}'
    )
    warnings.warn(
        f"checkpoint {checkpoint.source} was {message}: outputs differ from the publisher's until it is "
        'fine-tuned; set upsample_cfg of the backbone to use the weights as they are',
        stacklevel=4,
    )
    return [message]
