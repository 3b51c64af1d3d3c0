"""What came out, as data and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .rate import Rate
from .request import Request
from .timer import Ratio, Samples, ratio


@dataclass(frozen=True)
class Row:
    """What one contestant did.

    Attributes:
        name: its name.
        is_ours: whether it is one of ours.
        samples: its times.
        macs: multiply-accumulates of one run of its plain network.
        share: of the machine's rate that was reached with them.
        peak: bytes, ``None`` where they cannot be told.
        error: largest relative difference of its outputs from ``against``'s.
        against: whose outputs they were compared with, ``None`` for the one that others are compared with.
        precision: what it computes in.
    """

    name: str
    is_ours: bool
    samples: Samples
    macs: int
    share: float
    peak: int | None
    error: float | None
    against: str | None
    precision: str


@dataclass(frozen=True)
class MatchResult:
    """All rows of one match, the plain peer first."""

    name: str
    rows: tuple[Row, ...]

    @property
    def others(self) -> tuple[Row, ...]:
        """Everybody but ours."""
        return tuple(row for row in self.rows if not row.is_ours)

    def ratios(self, row: Row) -> dict[str, Ratio]:
        """By contestant that is not ours: its time over the row's."""
        return {other.name: ratio(other.samples, row.samples) for other in self.others}


@dataclass(frozen=True)
class Report:
    """A benchmark.

    Attributes:
        request: what was asked for.
        machine: what it ran on.
        versions: by package.
        rate: the machine's.
        matches: the results.
        command: as typed.
        started: date and time, UTC.
    """

    request: Request
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    rate: Rate
    matches: tuple[MatchResult, ...]
    started: str
    command: str = field(default='')

    def as_record(self) -> dict[str, Any]:
        """Everything, as JSON takes it."""
        return {
            'command': self.command,
            'started': self.started,
            'machine': dict(self.machine),
            'versions': dict(self.versions),
            'request': asdict(self.request),
            'rate': {
                'macs_per_second': self.rate.macs_per_second,
                'measured_by': self.rate.measured_by,
                'all': dict(self.rate.all),
            },
            'matches': [
                {'name': match.name, 'contestants': [_row(match, row) for row in match.rows]}
                for match in self.matches
            ],
        }


def _row(match: MatchResult, row: Row) -> dict[str, Any]:
    first, third = row.samples.quartiles
    return {
        'name': row.name,
        'is_ours': row.is_ours,
        'precision': row.precision,
        'seconds': list(row.samples.seconds),
        'runs_per_sample': row.samples.runs,
        'median': row.samples.median,
        'quartiles': [first, third],
        'macs': row.macs,
        'share_of_rate': row.share,
        'peak_bytes': row.peak,
        'largest_relative_error': row.error,
        'compared_with': row.against,
        'ratios': {name: asdict(value) for name, value in match.ratios(row).items()},
    }


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write JSON."""
    path.write_text(json.dumps(record, indent=2) + '\n', encoding='utf-8')
