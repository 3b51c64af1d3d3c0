"""Our figures beside the published ones, as data and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..config.load import load_config
from .complexity import Complexity, measure
from .published import GIGA, PUBLISHED_SIZES, SOURCES, PublishedSize, Unit


@dataclass(frozen=True)
class Comparison:
    """A published row and what its config gives here."""

    published: PublishedSize
    ours: Complexity

    @property
    def params(self) -> str:
        """Our number of parameters, as the publisher would print it."""
        return as_printed(
            counted_params(self.ours, self.published.unit) / self.published.unit.divisor,
            like=self.published.params,
        )

    @property
    def gflops(self) -> str:
        """Our multiply-accumulates, as the publisher would print them."""
        return as_printed(self.ours.macs / GIGA, like=self.published.gflops)

    @property
    def agrees(self) -> bool:
        """Whether all published digits, and integers where they are known, are ours too."""
        row = self.published
        return (
            (self.params, self.gflops) == (row.params, row.gflops)
            and row.params_exact in (None, self.ours.params)
            and row.macs_exact in (None, self.ours.macs)
        )


def counted_params(size: Complexity, unit: Unit) -> int:
    """The parameters that ``unit`` counts."""
    return size.params if unit.norms else size.params - size.norm_params


def as_printed(value: float, *, like: str) -> str:
    """``value`` with as many decimals as ``like``."""
    return f'{value:.{len(like.partition(".")[2])}f}'


def configs_folder() -> Path:
    """Where the shipped configs lie: in the package where it is installed, else beside it."""
    package = Path(__file__).resolve().parents[1]
    installed = package / '.mim' / 'configs'
    return installed if installed.is_dir() else package.parent / 'configs'


def compare(rows: Iterable[PublishedSize] = PUBLISHED_SIZES) -> list[Comparison]:
    """Measure the config of every row; rows of one network share the measuring."""
    known: dict[tuple[object, ...], Complexity] = {}

    def measured(row: PublishedSize) -> Complexity:
        key = (row.config, row.shape, row.rois)
        if key not in known:
            known[key] = measure(load_config(configs_folder() / row.config), row.shape, rois=row.rois)
        return known[key]

    return [Comparison(row, measured(row)) for row in rows]


def as_records(rows: Iterable[Comparison]) -> list[dict[str, Any]]:
    """One flat dict per row, for JSON."""
    return [
        {
            'task': row.published.task,
            'name': row.published.name,
            'config': row.published.config,
            'input': list(row.published.shape),
            'published': {
                'params': row.published.params,
                'gflops': row.published.gflops,
                'params_exact': row.published.params_exact,
                'macs_exact': row.published.macs_exact,
                'scores': dict(row.published.scores),
            },
            'ours': {'params_as_printed': row.params, 'gflops_as_printed': row.gflops, **asdict(row.ours)},
            'agrees': row.agrees,
        }
        for row in rows
    ]


def write_json(path: Path, rows: Iterable[Comparison]) -> None:
    """Write ``as_records`` and the sources."""
    record = {'sources': dict(SOURCES), 'rows': as_records(rows)}
    path.write_text(json.dumps(record, indent=2) + '\n', encoding='utf-8')
