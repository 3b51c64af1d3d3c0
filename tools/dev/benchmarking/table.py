"""A report as text, tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from .machine import in_words, is_busy
from .results import MatchResult, Report, Row

_MIB = 2**20
_GIGA = 1e9
_MEMORY = {'tensors': 'peak MiB', 'process': 'process MiB', 'none': 'peak MiB'}


def as_text(report: Report) -> str:
    """What was measured, a table per match, and what the columns mean."""
    blocks = [_heading(report)]
    blocks += [_match(report, match) for match in report.matches]
    blocks.append(_footing(report))
    return '\n\n'.join(blocks)


def _heading(report: Report) -> str:
    request = report.request
    way = 'forward and backward' if request.training else 'inference'
    if request.training and request.what in ('pose', 'seg', 'det', 'cls'):
        way = 'training step'
    size = 'x'.join(map(str, request.shape))
    lines = [
        f'{request.kind.title}, {request.arch}, {way}, {size}, batch {request.batch}, {request.precision}',
        f'{in_words(dict(report.machine))}; {request.device}, {request.threads} threads, '
        f'torch {report.versions["torch"]}; {request.rounds} interleaved rounds',
    ]
    lines += [f'left out: {name}' for name in request.left_out]
    if is_busy(dict(report.machine)):
        load = report.machine['load_average']
        lines.append(f'the machine was busy (load average {load}): times are unreliable')
    return '\n'.join(lines)


def _match(report: Report, match: MatchResult) -> str:
    others = [row.name for row in match.others]
    head = ['contestant', 'ms', 'quartiles', 'share', _MEMORY[report.request.memory]]
    head += [f'{name} / this' for name in others]
    return as_table([head, *(_cells(match, row) for row in match.rows)])


def _cells(match: MatchResult, row: Row) -> list[str]:
    first, third = (in_milliseconds(seconds) for seconds in row.samples.quartiles)
    peak = in_mebibytes(row.peak)
    cells = [row.name, in_milliseconds(row.samples.median), f'{first}–{third}', f'{row.share:.0%}', peak]
    return cells + [f'{value.value:.2f}' for value in match.ratios(row).values()]


def in_milliseconds(seconds: float) -> str:
    """Three digits."""
    value = 1000 * seconds
    return f'{value:.0f}' if value >= 100 else f'{value:.3g}'


def in_mebibytes(peak: int | None) -> str:
    """Whole ones; a dash where there is nothing to tell."""
    return '–' if peak is None else f'{peak / _MIB:.0f}'


def as_table(rows: Sequence[Sequence[str]]) -> str:
    """Markdown; the first row is the heading, the first column is text."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]

    def line(cells: Sequence[str]) -> str:
        first, *others = (
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f'| {" | ".join([first, *others])} |'

    rule = ['-' * width if i == 0 else '-' * (width - 1) + ':' for i, width in enumerate(widths)]
    return '\n'.join([line(rows[0]), line(rule), *map(line, rows[1:])])


def _footing(report: Report) -> str:
    rate = report.rate
    rates = ', '.join(f'{name} {value / _GIGA:.0f}' for name, value in rate.all.items())
    lines = [
        f'share: of {rate.macs_per_second / _GIGA:.0f} GMAC/s, reached by {rate.measured_by} '
        f'(in {report.request.precision}; GMAC/s: {rates}).',
    ]
    for match in report.matches:
        macs = {row.name.partition(' ')[0]: row.macs for row in match.rows}
        counts = ', '.join(f'{name} {value / _GIGA:.3g}' for name, value in macs.items())
        worst = max((row for row in match.rows if row.error is not None), key=_error, default=None)
        agreed = '' if worst is None else f'; outputs agree to {_error(worst):.1e} ({worst.name})'
        lines.append(f'{match.name}: GMACs {counts}{agreed}.')
    return '\n'.join(lines)


def _error(row: Row) -> float:
    return 0.0 if row.error is None else row.error
