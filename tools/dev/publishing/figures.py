"""``figures.toml`` as data, whose comments say what the fields are: facts to compare with, none of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import tomllib

ROOT: Final = Path(__file__).resolve().parents[3]
_TABLES: Final[dict[str, Any]] = tomllib.loads((ROOT / 'tools/dev/figures.toml').read_text('utf-8'))
_MILLION: Final[Mapping[str, Any]] = {'divisor': 10**6, 'norms': True}
Shape = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class PublishedScore:
    """A published accuracy; ``config`` is the file in ``configs/`` that builds the network, if one does."""

    task: str
    name: str
    config: str | None = None
    scores: Mapping[str, str] = field(default_factory=dict)
    setting: str = ''


@dataclass(frozen=True, kw_only=True)
class PublishedSize(PublishedScore):
    """The published size of a network, and its accuracy if that was published with it."""

    config: str
    shape: Shape
    params: str
    gflops: str
    params_unit: Mapping[str, Any] = field(default_factory=lambda: _MILLION)
    params_exact: int | None = None
    macs_exact: int | None = None
    rois: int | None = None


@dataclass(frozen=True, kw_only=True)
class PackageScore:
    """What a package's metafile says of its own ``model``, which has the network and recipe of ``config``."""

    config: str
    package: str
    model: str
    scores: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class ComparedNetwork:
    """A network of one of the paper's comparisons, ours or another's."""

    task: str
    name: str
    config: str
    shape: Shape
    paper: Mapping[str, str] = field(default_factory=dict)
    note: str = ''

    @property
    def is_ours(self) -> bool:
        """Whether the config is one of ours."""
        return '::' not in self.config


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What one of the paper's comparisons is about."""

    title: str
    source: str
    score: str


def _rows(table: str, kind: Any) -> tuple[Any, ...]:
    """A table's rows; TOML has lists where we have tuples."""
    rows = ({k: tuple(v) if isinstance(v, list) else v for k, v in row.items()} for row in _TABLES[table])
    return tuple(kind(**row) for row in rows)


#: Task -> where its rows were published.
SOURCES: Final[Mapping[str, str]] = _TABLES['sources']
SIZES: Final[tuple[PublishedSize, ...]] = _rows('sizes', PublishedSize)
SCORES: Final[tuple[PublishedScore, ...]] = _rows('scores', PublishedScore)
PACKAGE_SCORES: Final[tuple[PackageScore, ...]] = _rows('package_scores', PackageScore)
COMPARED: Final[tuple[ComparedNetwork, ...]] = _rows('networks', ComparedNetwork)
#: Task -> what its comparison is about.
COMPARISONS: Final = {task: Comparison(**row) for task, row in _TABLES['comparisons'].items()}


def scores_as_text(scores: Mapping[str, str]) -> str:
    """As in ``AP 0.744, AR 0.798``."""
    return ', '.join(f'{name} {value}' for name, value in scores.items())
