"""What a user asks the swap for, and how it says no."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ..config.errors import ConfigError
from ..models import NAMED_ARCHS

Necks = Literal['keep', 'hrfpn', 'v2']
NECKS: tuple[Necks, ...] = get_args(Necks)


@dataclass(frozen=True)
class SwapRequest:
    """The HRNet to put under a model.

    Attributes:
        arch: One of ``NAMED_ARCHS``.
        necks: ``'keep'`` the config's neck, put ``'hrfpn'`` in its place, or gather all streams by
            ``'v2'`` (``HRNetV2Neck``).

    Raises:
        ConfigError: a value is unknown.
    """

    arch: str
    necks: Necks = 'keep'

    def __post_init__(self) -> None:
        if self.arch not in NAMED_ARCHS:
            raise ConfigError(key='--arch', value=self.arch, expected=f'one of {", ".join(NAMED_ARCHS)}')
        if self.necks not in NECKS:
            raise ConfigError(key='--necks', value=self.necks, expected=f'one of {", ".join(NECKS)}')


class SwapRefused(Exception):
    """A config whose backbone cannot be exchanged; nothing has been written.

    Args:
        part: The config key that stands in the way, as ``'model.decode_head'``.
        reason: Why, in a few words that follow ``part`` and a colon.
    """

    def __init__(self, part: str, reason: str) -> None:
        super().__init__(part, reason)
        self.part = part
        self.reason = ' '.join(reason.split())

    def __str__(self) -> str:
        return f'{self.part}: {self.reason}'


def refuse_bound(
    model: Mapping[str, Any],
    *,
    keys: Mapping[str, str],
    types: Mapping[str, Mapping[str, str]],
    part: str = 'model',
) -> None:
    """Refuse a model with a part that works with its own backbone alone.

    Args:
        model: The model's dict.
        keys: Key of a model -> why no other backbone can serve a model that has it.
        types: Key of a model -> type of a module there -> why no other backbone can serve it.
        part: The model's key in the config.

    Raises:
        SwapRefused: naming the first such part.
    """
    for key, reason in keys.items():
        if key in model:
            raise SwapRefused(f'{part}.{key}', reason)
    for key, reasons in types.items():
        for name, module in modules_at(model, key):
            kind = str(module.get('type') if isinstance(module, Mapping) else module)
            if kind in reasons:
                raise SwapRefused(f'{part}.{name}', reasons[kind])


def modules_at(model: Mapping[str, Any], key: str) -> list[tuple[str, Any]]:
    """Key and value of the module under a key of a model, or of each in a list there."""
    value = model.get(key)
    if isinstance(value, (list, tuple)):
        return [(f'{key}[{i}]', module) for i, module in enumerate(value)]
    return [] if value is None else [(key, value)]
