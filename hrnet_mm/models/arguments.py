"""The arguments of ``HRNetBackbone``, checked: a mistake names the argument and what was expected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_STAGES = (1, 2, 3, 4)


def shown(value: Any) -> str:
    """``value`` as an error shows it."""
    try:
        return repr(value)
    except ValueError:  # of Python, about integers of more than 4300 digits
        return f'{type(value).__name__} of thousands of digits'


def checked_int(name: str, value: Any, low: int, high: int) -> int:
    """``value``, if it is an integer from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f'{name}={shown(value)} is out of range; expected an integer from {low} to {high}')
    return value


def choose_outputs(multiscale: bool, indices: Sequence[int] | None, *, streams: int) -> tuple[int, ...]:
    """Which streams are produced, finest first."""
    available = tuple(range(streams)) if multiscale else (0,)
    if indices is None:
        return available
    known = _is_list(indices) and all(isinstance(i, int) and i in available for i in indices)
    if not known or not indices or list(indices) != sorted(set(indices)):
        raise ValueError(
            f'out_indices={shown(indices)} is not an ascending choice from {available} '
            f'(multiscale_output={multiscale})'
        )
    return tuple(indices)


def recomputed_stages(with_cp: bool | Sequence[int]) -> tuple[int, ...]:
    """The numbers of the stages whose blocks are recomputed in the backward pass."""
    if isinstance(with_cp, bool):
        return _STAGES if with_cp else ()
    if not _is_list(with_cp) or not all(type(s) is int and s in _STAGES for s in with_cp):
        raise ValueError(
            f'with_cp={shown(with_cp)} names no stages; expected True, False or some of {_STAGES}'
        )
    return tuple(with_cp)


def count_fusions(fusions: Sequence[int] | None, *, modules: Sequence[int]) -> tuple[int, ...]:
    """How many modules of stages 2, 3 and 4 end in a fusion."""
    if fusions is None:
        return tuple(modules)
    counted = _is_list(fusions) and len(fusions) == len(modules)
    if not counted or not all(type(n) is int and 0 <= n <= m for n, m in zip(fusions, modules, strict=True)):
        raise ValueError(
            f'fusions={shown(fusions)} does not count the fusions of stages 2, 3 and 4; '
            f'expected {len(modules)} integers from 0 to {tuple(modules)}'
        )
    return tuple(fusions)


def known_precision(precision: str) -> str:
    """``precision``, if there is one of that name."""
    if precision not in ('float32', 'bfloat16'):
        raise ValueError(f'precision={shown(precision)} is unknown; expected float32 or bfloat16')
    return precision


def _is_list(value: Any) -> bool:
    # letters and bytes are numbers to nobody
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray))
