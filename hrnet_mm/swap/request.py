"""What a user asks the swap for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

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
