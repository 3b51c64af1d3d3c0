"""The part that all publishers share: finding the body among the keys, and describing and adapting it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from .errors import CheckpointError

#: what the body's keys start with, in our names
BODY = 'backbone.'
FIRST_CONV = f'{BODY}conv1.weight'

_NAMESPACE = re.compile(r'^(.*\.)?backbone\.$')
_ANCHOR = re.compile(r'(.*\.)?layer1\.0\.conv1\.weight')
#: must stand beside the anchor for the network to be an HRNet
_WITNESSES = ('conv1.weight', 'conv2.weight', 'stage4.0.branches.0.0.conv1.weight')
_ROOTS = re.compile(r'(conv[12]|(bn|gn|in|ln|syncbn)[12]|layer1|transition\d|stage\d)\.')
_LAST_FUSION = re.compile(r'backbone\.stage4\.(\d{1,4})\.fuse_layers\.\d+\.')
_WIDTH_KEY = 'stage4.0.branches.{}.0.conv1.weight'


def body_prefixes(keys: Iterable[str]) -> list[str]:
    """What stands before each HRNet body among ``keys``: ``''``, ``'backbone.'``, ``'module.model.'``..."""
    keys = set(keys)
    found = (match.group(1) or '' for match in map(_ANCHOR.fullmatch, keys) if match)
    return sorted(prefix for prefix in found if all(prefix + witness in keys for witness in _WITNESSES))


def find_body(keys: Iterable[str], *, source: object) -> str:
    """The one prefix.

    Raises:
        CheckpointError: there is no HRNet, or more than one.
    """
    keys = list(keys)
    prefixes = body_prefixes(keys)
    if len(prefixes) == 1:
        return prefixes[0]
    if prefixes:
        raise CheckpointError(
            source=source,
            problem=f'holds several HRNets, under {", ".join(map(repr, prefixes))}',
            expected='one',
        )
    raise CheckpointError(
        source=source,
        problem=f'is of another network than HRNet (its keys begin {", ".join(keys[:3])})',
        expected='the keys conv1, layer1, transition1 ... stage4 of an HRNet, with any prefix',
    )


def wrapper_of(prefix: str) -> str:
    """What stands before every key, from what stands before the body: ``module.`` of ``module.backbone.``."""
    match = _NAMESPACE.match(prefix)
    return prefix if match is None else match.group(1) or ''


def normal_key(key: str, prefix: str) -> str | None:
    """A key without its wrapper, the body's under ``backbone.``; ``None`` for keys outside the wrapper."""
    if key.startswith(prefix):
        rest = key.removeprefix(prefix)
        return BODY + rest if _ROOTS.match(rest) else rest
    wrapper = wrapper_of(prefix)
    return key.removeprefix(wrapper) if key.startswith(wrapper) else None


def is_optional_fusion(key: str, keys: Iterable[str]) -> bool:
    """Whether a key belongs to the last fusion, which has rows only for the streams that are produced."""
    match = _LAST_FUSION.match(key)
    if match is None:
        return False
    modules = (re.match(r'backbone\.stage4\.(\d{1,4})\.', other) for other in keys)
    return int(match.group(1)) == max(int(module.group(1)) for module in modules if module)


def last_fusion_row(key: str) -> str | None:
    """What the keys of the same row of the last fusions begin with, the weights of one stream's sum."""
    match = _LAST_FUSION.match(key)
    return None if match is None else match.group(0)


def describe(state: Mapping[str, Tensor]) -> str:
    """The architecture in a few words, from its keys and shapes in our names."""
    widths: list[str] = []
    while (weight := state.get(BODY + _WIDTH_KEY.format(len(widths)))) is not None:
        widths.append(str(weight.shape[0] if weight.shape else 'no'))
    modules = [str(_count(state, rf'backbone\.stage{stage}\.(\d{{1,4}})\.')) for stage in (2, 3, 4)]
    blocks = _count(state, r'backbone\.stage4\.0\.branches\.0\.(\d{1,4})\.')
    stem = _count(state, r'backbone\.layer1\.(\d{1,4})\.')
    return f'channels {"/".join(widths)}, layer1 of {stem}, {"-".join(modules)} modules of {blocks} blocks'


def _count(keys: Iterable[str], pattern: str) -> int:
    found = (re.match(pattern, key) for key in keys)
    return 1 + max((int(match.group(1)) for match in found if match), default=-1)


def adapt_first_conv(weight: Tensor, in_channels: int) -> Tensor:
    """An RGB convolution for another number of channels, of which nothing is known.

    One channel gets the sum, which is what the convolution does to a grey image in RGB. More get the three
    in turn, scaled by ``3 / in_channels``, so that activations keep their size.
    """
    if in_channels == 1:
        return weight.sum(dim=1, keepdim=True)
    turn = torch.arange(in_channels, device=weight.device) % weight.shape[1]
    return weight[:, turn] * (weight.shape[1] / in_channels)
