"""The arguments of ``HRNetBackbone``, checked: a mistake names the argument and what was expected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_STAGES = (1, 2, 3, 4)


def checked_int(name: str, value: Any, low: int, high: int | None) -> int:
    """``value``, if it is an integer from ``low`` to ``high``."""
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= low
    if not fits or (high is not None and value > high):
        upper = 'up' if high is None else f'to {high}'
        raise ValueError(f'{name}={value!r} is out of range; expected an integer from {low} {upper}')
    return value


def choose_outputs(multiscale: bool, indices: Sequence[int] | None, *, streams: int) -> tuple[int, ...]:
    """Which streams are produced, finest first."""
    available = tuple(range(streams)) if multiscale else (0,)
    if indices is None:
        return available
    known = isinstance(indices, Sequence) and all(i in available for i in indices)
    if not known or not indices or list(indices) != sorted(set(indices)):
        raise ValueError(
            f'out_indices={indices!r} is not an ascending choice from {available} '
            f'(multiscale_output={multiscale})'
        )
    return tuple(indices)


def recomputed_stages(with_cp: bool | Sequence[int]) -> tuple[int, ...]:
    """The numbers of the stages whose blocks are recomputed in the backward pass."""
    if isinstance(with_cp, bool):
        return _STAGES if with_cp else ()
    if not isinstance(with_cp, Sequence) or not all(type(s) is int and s in _STAGES for s in with_cp):
        raise ValueError(f'with_cp={with_cp!r} names no stages; expected True, False or some of {_STAGES}')
    return tuple(with_cp)


def count_fusions(fusions: Sequence[int] | None, *, modules: Sequence[int]) -> tuple[int, ...]:
    """How many modules of stages 2, 3 and 4 end in a fusion."""
    if fusions is None:
        return tuple(modules)
    counted = isinstance(fusions, Sequence) and not isinstance(fusions, str) and len(fusions) == len(modules)
    if not counted or not all(type(n) is int and 0 <= n <= m for n, m in zip(fusions, modules, strict=True)):
        raise ValueError(
            f'fusions={fusions!r} does not count the fusions of stages 2, 3 and 4; '
            f'expected {len(modules)} integers from 0 to {tuple(modules)}'
        )
    return tuple(fusions)


def known_precision(precision: str) -> str:
    """``precision``, if there is one of that name."""
    if precision not in ('float32', 'bfloat16'):
        raise ValueError(f'precision={precision!r} is unknown; expected float32 or bfloat16')
    return precision
