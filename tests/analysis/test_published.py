"""The published figures come out of our configs, to the printed digit and the whole integer."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from hrnet_mm import NAMED_ARCHS
from hrnet_mm.analysis import (
    PUBLISHED_SCORES,
    PUBLISHED_SIZES,
    SOURCES,
    Comparison,
    PublishedSize,
    as_markdown,
    compare,
    write_json,
)
from hrnet_mm.analysis.published import DETECTION_ROIS, GIGA

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.filterwarnings('ignore:pkg_resources is deprecated')


@cache
def table() -> tuple[Comparison, ...]:
    """All rows, measured once for this file."""
    return tuple(compare())


def row_id(row: PublishedSize) -> str:
    return f'{row.name} {row.shape[0]}x{row.shape[1]}'


@pytest.mark.slow
@pytest.mark.parametrize('number', range(len(PUBLISHED_SIZES)), ids=map(row_id, PUBLISHED_SIZES))
def test_every_published_size_is_ours(number):
    row = table()[number]
    published, ours = row.published, row.ours
    assert published is PUBLISHED_SIZES[number]
    assert (row.params, row.gflops) == (published.params, published.gflops)
    if published.task != 'detection':  # whose integers nobody published
        assert (ours.params, ours.macs) == (published.params_exact, published.macs_exact)
    assert row.agrees


@pytest.mark.slow
def test_disagreement_shows():
    row = table()[0]
    for other in (
        {'params': '13.3'},
        {'gflops': '1.50'},
        {'params_exact': row.ours.params + 1},
        {'macs_exact': row.ours.macs - 1},
    ):
        wrong = Comparison(replace(row.published, **other), row.ours)
        assert not wrong.agrees
        assert '**no**' in as_markdown([wrong])
        assert '**0 of 1 rows agree**' in as_markdown([wrong])


@pytest.mark.slow
def test_the_fitted_number_of_rois_is_the_only_one():
    """What ``DETECTION_ROIS`` claims; the box head's share grows with the number."""
    rows = [row for row in table() if row.published.task == 'detection']
    shares = {box_head_macs(width.published) for width in rows[::2]}
    assert len(shares) == 1
    per_roi = shares.pop()

    def fits(rois: int, row: Comparison) -> bool:
        macs = row.ours.macs + (rois - DETECTION_ROIS) * per_roi
        return f'{macs / GIGA:.1f}' == row.published.gflops

    assert [n for n in range(2001) if all(fits(n, row) for row in rows)] == [DETECTION_ROIS]


def box_head_macs(row: PublishedSize) -> int:
    """Multiply-accumulates per RoI."""
    (one,), (two,) = (compare([replace(row, rois=rois)]) for rois in (1, 2))
    return two.ours.macs - one.ours.macs


@pytest.mark.slow
def test_the_page_in_docs_is_up_to_date():
    """Remake it: python tools/complexity.py --table > docs/published_figures.md"""
    assert (ROOT / 'docs/published_figures.md').read_text(encoding='utf-8') == as_markdown(table()) + '\n'


@pytest.mark.slow
def test_json_holds_what_the_table_says(tmp_path):
    write_json(tmp_path / 'table.json', table())
    record = json.loads((tmp_path / 'table.json').read_text(encoding='utf-8'))
    assert record['sources'] == dict(SOURCES)
    assert len(record['rows']) == len(PUBLISHED_SIZES)
    for entry, row in zip(record['rows'], table(), strict=True):
        assert entry['config'] == row.published.config
        assert entry['published']['gflops'] == entry['ours']['gflops_as_printed']
        assert (entry['ours']['params'], entry['ours']['macs']) == (row.ours.params, row.ours.macs)
        assert entry['agrees'] is True


# -- the data -------------------------------------------------------------------------------------


def test_the_table_is_whole():
    """Row counts of the authors' tables, one ImageNet row per named architecture."""
    count = {task: sum(row.task == task for row in PUBLISHED_SIZES) for task in SOURCES}
    assert {task: n for task, n in count.items() if n} == {
        'classification': 9,
        'pose': 4,
        'segmentation': 1,
        'detection': 8,
    }
    configs = [row.config for row in PUBLISHED_SIZES if row.task == 'classification']
    assert configs == [f'hrnet_{arch}_imagenet.py' for arch in NAMED_ARCHS]
    assert len(PUBLISHED_SCORES) == 1 + 3 + 14 + 17
    assert all(row.task in SOURCES for row in (*PUBLISHED_SIZES, *PUBLISHED_SCORES))


def test_integers_agree_with_the_digits():
    """A slip in typing the data would show."""
    for row in PUBLISHED_SIZES:
        if row.params_exact is not None and row.macs_exact is not None:
            assert abs(row.params_exact / row.unit.divisor - float(row.params)) <= 0.05
            digits = len(row.gflops.partition('.')[2])
            assert f'{row.macs_exact / GIGA:.{digits}f}' == row.gflops
