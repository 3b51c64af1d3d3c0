"""The architectures of the HRNet papers as data, the reading of user-written ones, and checks of arguments.

Sources: TPAMI paper (arXiv 1908.07919), section 3 and table of instances; the authors' classification
configurations for the small and the W30/W44/W64 variants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .blocks import BLOCKS

_STAGE_KEYS = ('num_modules', 'num_branches', 'block', 'num_blocks', 'num_channels')
#: Far above any network that could be trained: what exceeds these is a slip, and would take all memory.
_LARGEST = {'num_modules': 100, 'num_branches': 8, 'num_blocks': 1000, 'num_channels': 2**14}
_STAGE_NAMES = ('stage1', 'stage2', 'stage3', 'stage4')


@dataclass(frozen=True)
class StageArch:
    """One stage: ``modules`` repetitions of parallel streams, each followed by a fusion.

    ``blocks[i]`` residual blocks of ``channels[i]`` base channels run on stream ``i``, whose stride is
    ``4 * 2**i``.
    """

    modules: int
    block: str
    blocks: tuple[int, ...]
    channels: tuple[int, ...]

    @property
    def out_channels(self) -> tuple[int, ...]:
        """Channels of every stream after the stage."""
        return tuple(c * BLOCKS[self.block].expansion for c in self.channels)


Arch = tuple[StageArch, StageArch, StageArch, StageArch]


def _arch(
    *,
    width: int,
    stem_blocks: int = 4,
    stem_channels: int = 64,
    modules: tuple[int, int, int] = (1, 4, 3),
    blocks: int = 4,
) -> Arch:
    """The paper's pattern: stage ``s`` has ``s`` streams of ``width * 2**i`` channels."""
    widths = tuple(width * 2**i for i in range(4))
    stage1 = StageArch(1, 'BOTTLENECK', (stem_blocks,), (stem_channels,))
    stage2, stage3, stage4 = (
        StageArch(n, 'BASIC', (blocks,) * streams, widths[:streams])
        for n, streams in zip(modules, (2, 3, 4), strict=True)
    )
    return stage1, stage2, stage3, stage4


NAMED_ARCHS: dict[str, Arch] = {
    'w18_small_v1': _arch(width=16, stem_blocks=1, stem_channels=32, modules=(1, 1, 1), blocks=2),
    'w18_small_v2': _arch(width=18, stem_blocks=2, modules=(1, 3, 2), blocks=2),
    'w18': _arch(width=18),
    'w30': _arch(width=30),
    'w32': _arch(width=32),
    'w40': _arch(width=40),
    'w44': _arch(width=44),
    'w48': _arch(width=48),
    'w64': _arch(width=64),
}


def resolve_arch(arch: str | Mapping[str, Any]) -> Arch:
    """Return the architecture that a name or a dict in the OpenMMLab ``extra`` spelling stands for.

    Raises:
        ValueError: unknown name, or a dict that does not describe four stages.
    """
    if isinstance(arch, str) and arch in NAMED_ARCHS:
        return NAMED_ARCHS[arch]
    if not isinstance(arch, Mapping):
        raise ValueError(
            f'arch={arch!r}: expected one of {", ".join(NAMED_ARCHS)}, or a dict with stage1 to stage4'
        )
    missing = [name for name in _STAGE_NAMES if name not in arch]
    if missing:
        raise ValueError(f'extra lacks {", ".join(missing)}; expected {", ".join(_STAGE_NAMES)}')
    stage1, stage2, stage3, stage4 = (_read_stage(f'extra.{name}', arch[name]) for name in _STAGE_NAMES)
    streams = [len(stage.channels) for stage in (stage1, stage2, stage3, stage4)]
    if streams[0] != 1 or sorted(streams) != streams:
        raise ValueError(
            f'extra has num_branches={streams} in stage1 to stage4; expected 1 in stage1 and no stage '
            'with fewer streams than the one before'
        )
    return stage1, stage2, stage3, stage4


def _read_stage(name: str, cfg: Any) -> StageArch:
    if not isinstance(cfg, Mapping):
        raise ValueError(f'{name}={cfg!r} is not a dict; expected keys {", ".join(_STAGE_KEYS)}')
    missing = [key for key in _STAGE_KEYS if key not in cfg]
    if missing:
        raise ValueError(f'{name} lacks {", ".join(missing)}; expected {", ".join(_STAGE_KEYS)}')
    block = cfg['block']
    if not isinstance(block, str) or block not in BLOCKS:
        raise ValueError(f'{name}.block={block!r} is unknown; expected {" or ".join(BLOCKS)}')

    def number(key: str, value: Any) -> int:
        return checked_int(f'{name}.{key}', value, 1, _LARGEST[key])

    def per_stream(key: str) -> tuple[int, ...]:
        values = cfg[key]
        if not _is_list(values) or len(values) != branches:
            raise ValueError(
                f'{name}.{key}={values!r} does not hold one number per stream; expected {branches} '
                'of them (num_branches)'
            )
        return tuple(number(key, value) for value in values)

    branches = number('num_branches', cfg['num_branches'])
    modules = number('num_modules', cfg['num_modules'])
    return StageArch(modules, block, per_stream('num_blocks'), per_stream('num_channels'))


# -- arguments of HRNetBackbone: a mistake names the argument, its value and what was expected --------------


def checked_int(name: str, value: Any, low: int, high: int) -> int:
    """``value``, if it is an integer from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f'{name}={value!r} is out of range; expected an integer from {low} to {high}')
    return value


def choose_outputs(multiscale: bool, indices: Sequence[int] | None, *, streams: int) -> tuple[int, ...]:
    """Which streams are produced, finest first."""
    available = tuple(range(streams)) if multiscale else (0,)
    if indices is None:
        return available
    known = _is_list(indices) and all(isinstance(i, int) and i in available for i in indices)
    if not known or not indices or list(indices) != sorted(set(indices)):
        raise ValueError(
            f'out_indices={indices!r} is not an ascending choice from {available} '
            f'(multiscale_output={multiscale})'
        )
    return tuple(indices)


def recomputed_stages(with_cp: bool | Sequence[int]) -> tuple[int, ...]:
    """The numbers of the stages whose blocks are recomputed in the backward pass."""
    stages = (1, 2, 3, 4)
    if isinstance(with_cp, bool):
        return stages if with_cp else ()
    if not _is_list(with_cp) or not all(type(s) is int and s in stages for s in with_cp):
        raise ValueError(f'with_cp={with_cp!r} names no stages; expected True, False or some of {stages}')
    return tuple(with_cp)


def count_fusions(fusions: Sequence[int] | None, *, modules: Sequence[int]) -> tuple[int, ...]:
    """How many modules of stages 2, 3 and 4 end in a fusion."""
    if fusions is None:
        return tuple(modules)
    counted = _is_list(fusions) and len(fusions) == len(modules)
    if not counted or not all(type(n) is int and 0 <= n <= m for n, m in zip(fusions, modules, strict=True)):
        raise ValueError(
            f'fusions={fusions!r} does not count the fusions of stages 2, 3 and 4; '
            f'expected {len(modules)} integers from 0 to {tuple(modules)}'
        )
    return tuple(fusions)


def _is_list(value: Any) -> bool:
    # letters and bytes are numbers to nobody
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray))
