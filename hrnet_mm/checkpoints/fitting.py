"""Weights of any layout into a model of any layout, and the report of what became of them."""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from ..models.stages import Upsampling
from .files import CheckpointError
from .layouts import BEFORE_NORMS
from .names import BODY, UNKNOWN, Recognised, recognise, rename
from .reading import Checkpoint, check_plain, read_checkpoint, upsample_cfg

_RGB = 3
_FIRST_CONV = f'{BODY}conv1.weight'
_LAST_FUSION = re.compile(r'backbone\.stage4\.(\d{1,4})\.fuse_layers\.\d+\.')
_SHOWN = 4  # items of a line of a report
_LONGEST = 200  # letters of an item


@dataclass(frozen=True)
class LoadReport:
    """What a model got from a checkpoint.

    Args:
        source: the file.
        layout: the layout recognised.
        loaded: the model's keys that got their values.
        ignored: keys of the file that a model of this kind has no place for, as was to be expected: another
            task's head, or fusion rows for streams that the model does not produce.
        missing: the model's keys that the file says nothing about; they keep their initial values.
        unexpected: keys of the file that should have had a place.
        other_shape: the model's keys whose tensors do not fit, such as a classifier of other classes, with
            the shapes: ``file 5x2048, model 7x2048``; they were not loaded.
        notes: what was changed on the way.
    """

    source: str
    layout: str
    loaded: tuple[str, ...]
    ignored: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    other_shape: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every weight found its place."""
        return not (self.missing or self.unexpected or self.other_shape)

    @property
    def misfits(self) -> list[str]:
        """``other_shape`` as a list: ``head.fc.weight (file 5x2048, model 7x2048)``."""
        return [f'{key} ({shapes})' for key, shapes in self.other_shape.items()]

    def __str__(self) -> str:
        wanted = len(self.loaded) + len(self.missing) + len(self.other_shape)
        lines = [
            f'weights from {self.source}',
            f'layout: {self.layout}',
            f'loaded: {len(self.loaded)} of {wanted} tensors',
            *report_line('known extras ignored', parts(self.ignored), count=len(self.ignored)),
            *report_line('missing, left as initialised', self.missing),
            *report_line('unexpected', self.unexpected),
            *report_line('other shape', self.misfits),
            *(f'note: {note}' for note in self.notes),
        ]
        return '\n  '.join(lines)

    def log(self) -> None:
        """Write the report to MMEngine's log, as a warning unless it is complete."""
        print_log(str(self), logger='current', level=logging.INFO if self.complete else logging.WARNING)


def report_line(title: str, items: Sequence[str], *, count: int | None = None) -> list[str]:
    """One line with the first few items and how many there are; none where there are none."""
    if not items:
        return []
    shown = ', '.join(item[:_LONGEST] for item in items[:_SHOWN]) + (', ...' if len(items) > _SHOWN else '')
    return [f'{title}: {len(items) if count is None else count} ({shown})']


def parts(keys: Iterable[str]) -> tuple[str, ...]:
    """The parts of a network that keys belong to, each once: ``incre_modules``, ``head.fc``, ..."""
    stems = (re.split(r'\.\d+\.|\.[^.]+$', key.removeprefix(BODY), maxsplit=1)[0] for key in keys)
    return tuple(dict.fromkeys(stems))


def _dims(value: Tensor) -> str:
    return 'x'.join(map(str, value.shape)) or 'scalar'


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
    check_plain(checkpoint.state, source=checkpoint.source)
    own_state = model.state_dict()
    own = recognise(own_state, source=type(model).__name__)
    file = recognise(checkpoint.state, source=checkpoint.source)
    # from here on by our names; one that is unknown fits only the same key
    wanted = {name: own_state[key] for key, name in own.names.items()}
    state = {name: checkpoint.state[key] for key, name in file.names.items()}
    notes = [
        *_adapt_first_conv(state, wanted, source=checkpoint.source),
        *_adapt_biases(state, wanted, source=checkpoint.source),
    ]
    _check_body(state, wanted, source=checkpoint.source)
    notes += _compare_upsampling(model, own, file, checkpoint)
    loaded, missing, other_shape = {}, [], {}
    for key, name in own.names.items():
        if name not in state:
            missing += [] if _counts_batches(name) else [key]
        elif state[name].shape != wanted[name].shape:
            other_shape[key] = f'file {_dims(state[name])}, model {_dims(wanted[name])}'
        else:
            loaded[key] = state[name]
    ignored, unexpected = _leftovers(own, file, state.keys() - wanted.keys())
    report = LoadReport(
        source=checkpoint.source,
        layout=file.layout.description,
        loaded=tuple(loaded),
        ignored=ignored,
        missing=tuple(missing),
        unexpected=unexpected,
        other_shape=other_shape,
        notes=tuple(notes),
    )
    return Fitted(loaded, report)


def _adapt_first_conv(state: dict[str, Tensor], wanted: Mapping[str, Tensor], *, source: str) -> list[str]:
    """Fit, in ``state``, a first convolution for RGB to the model's ``in_channels``; notes of it."""
    weight = state[_FIRST_CONV]
    if weight.ndim != 4 or weight.shape[1] == wanted[_FIRST_CONV].shape[1]:
        return []  # what has another shape in other respects is refused with the rest of the body
    file, model = weight.shape[1], wanted[_FIRST_CONV].shape[1]
    if file != _RGB:
        raise CheckpointError(
            source=source,
            problem=f'is for images of {file} channels, and the model has in_channels={model}',
            expected=f'{model} or {_RGB} channels',
        )
    state[_FIRST_CONV] = adapt_first_conv(weight, model)
    how = 'summed' if model == 1 else f'repeated and scaled by {_RGB}/{model}'
    return [f'first convolution adapted from {_RGB} to in_channels={model} ({how})']


def adapt_first_conv(weight: Tensor, in_channels: int) -> Tensor:
    """An RGB convolution, ``(out, 3, height, width)``, for another number of channels.

    One channel gets the sum, which is what the convolution does to a grey image in RGB. More get the three
    in turn, scaled by ``3 / in_channels``, so that activations keep their size.
    """
    if in_channels == 1:
        return weight.sum(dim=1, keepdim=True)
    turn = torch.arange(in_channels, device=weight.device) % _RGB
    return weight[:, turn] * (_RGB / in_channels)


def _adapt_biases(state: dict[str, Tensor], wanted: Mapping[str, Tensor], *, source: str) -> list[str]:
    """Fold or add, in ``state``, biases before norms as the model has them; notes of it."""

    def in_model(bias: str) -> bool | None:
        has_conv = f'{bias.removesuffix("bias")}weight' in wanted
        return bias in wanted if has_conv else None

    folded, added = settle_biases(state, wanted=in_model, source=source)
    notes = {'folded into the norms behind them': folded, 'that the file lacks set to zero': added}
    return [f'{len(biases)} biases {what}' for what, biases in notes.items() if biases]


def settle_biases(
    state: dict[str, Tensor], *, wanted: Callable[[str], bool | None], source: object
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Fold or add biases before norms, so that those are there that are wanted, with the same outputs.

    ``norm(conv(x) + b)`` with running mean ``m`` equals ``norm(conv(x))`` with running mean ``m - b``.

    Args:
        state: Tensors in our names, to be changed.
        wanted: Whether the target has the bias of that name; None to leave it as it is.
        source: For errors.

    Returns:
        The biases that were folded, and those that were added.

    Raises:
        CheckpointError: a bias stands before a norm without running statistics, or of another width, where
            it cannot go.
    """
    folded, added = [], []
    for weight in [name for name in state if name.endswith('.weight')]:
        norm = rename(weight, BEFORE_NORMS)
        if norm is None or state[weight].ndim < 2:
            continue
        bias, mean = f'{weight.removesuffix("weight")}bias', f'{norm.removesuffix("weight")}running_mean'
        if bias in state and wanted(bias) is False:
            if mean not in state or state[mean].shape != state[bias].shape:
                raise CheckpointError(
                    source=source,
                    problem=f'has the bias {bias} before a norm without {mean} of the same shape',
                    expected='a batch norm there, to fold the bias into',
                )
            state[mean] = state[mean] - state.pop(bias)
            folded.append(bias)
        elif bias not in state and wanted(bias):
            state[bias] = state[weight].new_zeros(state[weight].shape[0])
            added.append(bias)
    return tuple(folded), tuple(added)


def _check_body(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], *, source: str) -> None:
    """Refuse another architecture; only what the publishers differ in may be absent or left over."""
    file = {name: value for name, value in state.items() if name.startswith(BODY)}
    model = {name: value for name, value in wanted.items() if name.startswith(BODY)}
    misfits = [
        *(name for name in file.keys() & model.keys() if file[name].shape != model[name].shape),
        # deformable convolutions have offsets that no ImageNet file brings
        *(name for name in _alone(model, file) if '.conv_offset.' not in name),
        *_alone(file, model),
    ]
    if misfits:
        raise CheckpointError(
            source=source,
            problem=f'is of another architecture ({describe(file)}; {len(misfits)} tensors do not fit, '
            f'such as {min(misfits).removeprefix(BODY)})',
            expected=f"the model's ({describe(model)})",
        )


def _alone(these: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> list[str]:
    """Names that the others lack, except whole rows of the last fusion.

    It has a row for each stream that is produced: the finest alone in HRNetV1.
    """
    fusions = {name: match for name in these if (match := _LAST_FUSION.match(name))}
    last = max((int(match.group(1)) for match in fusions.values()), default=-1)
    rows = {match.group(0) for match in map(_LAST_FUSION.match, others) if match}
    spare = {
        name for name, match in fusions.items() if int(match.group(1)) == last and match.group(0) not in rows
    }
    return [name for name in these.keys() - others.keys() - spare if not _counts_batches(name)]


def _counts_batches(name: str) -> bool:
    return name.endswith('num_batches_tracked')


def describe(state: Mapping[str, Tensor]) -> str:
    """The architecture in a few words, from its keys and shapes in our names."""
    widths: list[str] = []
    while (weight := state.get(f'{BODY}stage4.0.branches.{len(widths)}.0.conv1.weight')) is not None:
        widths.append(str(weight.shape[0] if weight.shape else 'no'))

    def count(pattern: str) -> int:
        found = (re.match(rf'backbone\.{pattern}\.(\d{{1,4}})\.', key) for key in state)
        return 1 + max((int(match.group(1)) for match in found if match), default=-1)

    modules = '-'.join(str(count(f'stage{stage}')) for stage in (2, 3, 4))
    blocks = count(r'stage4\.0\.branches\.0')
    return f'channels {"/".join(widths)}, layer1 of {count("layer1")}, {modules} modules of {blocks} blocks'


def _leftovers(
    own: Recognised, file: Recognised, homeless: set[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Keys of the file without a place in the model: those to be expected, and the others."""
    headless = all(name.startswith(BODY) for name in own.names.values())
    another_head = headless or file.layout.task != own.layout.task
    without = {key: name for key, name in file.names.items() if name in homeless}
    expected = {key for key, name in without.items() if another_head or name.startswith((BODY, UNKNOWN))}
    return tuple(key for key in without if key in expected), tuple(
        key for key in without if key not in expected
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
