"""The published figures come out of our configs, to the printed digit and the whole integer."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from publishing.figures import ROOT, SCORES, SIZES, SOURCES, PublishedSize
from publishing.published_figures import SizeRow, measure_sizes, published_figures_page

from hrnet_mm import NAMED_ARCHS
from hrnet_mm.analysis import GIGA


@cache
def table() -> tuple[SizeRow, ...]:
    """All rows, measured once for this file."""
    return tuple(measure_sizes())


@pytest.mark.nightly
@pytest.mark.parametrize('number', range(len(SIZES)), ids=lambda n: f'{SIZES[n].name} {SIZES[n].shape}')
def test_every_published_size_is_ours(number):
    row, published = table()[number], SIZES[number]
    assert (row.params, row.gflops) == (published.params, published.gflops)
    if published.task != 'detection':  # whose integers nobody published
        assert (row.ours.params, row.ours.macs) == (published.params_exact, published.macs_exact)
    assert row.agrees


@pytest.mark.nightly
def test_disagreement_shows():
    row = table()[0]
    for other in ({'params': '13.3'}, {'gflops': '1.50'}, {'macs_exact': row.ours.macs - 1}):
        wrong = SizeRow(replace(row.published, **other), row.ours)
        assert not wrong.agrees
        page = published_figures_page([wrong])
        assert '**no**' in page and '**0 of 1 rows agree**' in page


@pytest.mark.nightly
def test_the_fitted_number_of_rois_is_the_only_one():
    """The box head's share grows with the number."""
    rows = [row for row in table() if row.published.task == 'detection']
    (per_roi,) = {box_head_macs(row.published) for row in rows[::2]}
    (fitted,) = {row.published.rois for row in rows}

    def fits(rois: int, row: SizeRow) -> bool:
        return f'{(row.ours.macs + (rois - fitted) * per_roi) / GIGA:.1f}' == row.published.gflops

    assert [n for n in range(2001) if all(fits(n, row) for row in rows)] == [fitted]


def box_head_macs(row: PublishedSize) -> int:
    """Multiply-accumulates per RoI."""
    (one,), (two,) = (measure_sizes([replace(row, rois=rois)]) for rois in (1, 2))
    return two.ours.macs - one.ours.macs


@pytest.mark.nightly
def test_the_page_in_docs_is_up_to_date():
    """Remake it: python tools/dev/pages.py published_figures"""
    page = (ROOT / 'docs/published_figures.md').read_text(encoding='utf-8')
    assert page == published_figures_page(table())


def test_the_data_are_whole():
    """Row counts of the authors' tables, one ImageNet row per named architecture, digits beside integers."""
    count = {task: sum(row.task == task for row in SIZES) for task in SOURCES}
    assert list(count.values()) == [9, 4, 0, 0, 1, 8, 0]
    configs = [row.config for row in SIZES if row.task == 'classification']
    assert configs == [f'hrnet_{arch}_imagenet.py' for arch in NAMED_ARCHS]
    assert len(SCORES) == 1 + 3 + 14 + 17
    assert all(row.task in SOURCES for row in (*SIZES, *SCORES))
    for row in SIZES:
        if row.params_exact and row.macs_exact:
            assert abs(row.params_exact / row.params_unit['divisor'] - float(row.params)) <= 0.05
            digits = len(row.gflops.partition('.')[2])
            assert f'{row.macs_exact / GIGA:.{digits}f}' == row.gflops
