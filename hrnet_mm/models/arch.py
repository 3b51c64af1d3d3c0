"""The architectures of the HRNet papers as data, and the reading of user-written ones.

Sources: TPAMI paper (arXiv 1908.07919), section 3 and table of instances; the authors' classification
configurations for the small and the W30/W44/W64 variants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .arguments import shown

#: How many times wider a block's output is than its ``num_channels``.
BLOCK_EXPANSION = {'BASIC': 1, 'BOTTLENECK': 4}

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
        return tuple(c * BLOCK_EXPANSION[self.block] for c in self.channels)


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
            f'arch={shown(arch)}: expected one of {", ".join(NAMED_ARCHS)}, or a dict with stage1 to stage4'
        )
    missing = [name for name in _STAGE_NAMES if name not in arch]
    if missing:
        raise ValueError(f'extra lacks {", ".join(missing)}; expected stage1, stage2, stage3, stage4')
    stages = [_read_stage(name, arch[name]) for name in _STAGE_NAMES]
    _check_stream_growth([len(stage.channels) for stage in stages])
    return stages[0], stages[1], stages[2], stages[3]


def _read_stage(name: str, cfg: Any) -> StageArch:
    if not isinstance(cfg, Mapping):
        raise ValueError(f'extra.{name}={shown(cfg)} is not a dict; expected keys {", ".join(_STAGE_KEYS)}')
    missing = [key for key in _STAGE_KEYS if key not in cfg]
    if missing:
        raise ValueError(f'extra.{name} lacks {", ".join(missing)}; expected {", ".join(_STAGE_KEYS)}')
    if not isinstance(cfg['block'], str) or cfg['block'] not in BLOCK_EXPANSION:
        raise ValueError(
            f'extra.{name}.block={shown(cfg["block"])} is unknown; expected {" or ".join(BLOCK_EXPANSION)}'
        )
    branches = _number(name, 'num_branches', cfg['num_branches'])
    return StageArch(
        modules=_number(name, 'num_modules', cfg['num_modules']),
        block=cfg['block'],
        blocks=_per_stream(name, 'num_blocks', cfg['num_blocks'], branches),
        channels=_per_stream(name, 'num_channels', cfg['num_channels'], branches),
    )


def _number(stage: str, key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f'extra.{stage}.{key}={shown(value)} is not a positive integer')
    if value > _LARGEST[key]:
        raise ValueError(f'extra.{stage}.{key}={shown(value)} is too large; expected at most {_LARGEST[key]}')
    return value


def _per_stream(stage: str, key: str, value: Any, branches: int) -> tuple[int, ...]:
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)) or len(value) != branches:
        raise ValueError(
            f'extra.{stage}.{key}={shown(value)} does not hold one number per stream; expected {branches} '
            'of them (num_branches)'
        )
    return tuple(_number(stage, key, item) for item in value)


def _check_stream_growth(streams: list[int]) -> None:
    if streams[0] != 1 or sorted(streams) != streams:
        raise ValueError(
            f'extra has num_branches={streams} in stage1 to stage4; expected 1 in stage1 and no stage '
            'with fewer streams than the one before'
        )
