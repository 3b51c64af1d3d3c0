"""The published figures come out of our configs, to the printed digit and the whole integer."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from publishing.figures import ROOT, SIZES, PublishedSize
from publishing.published_figures import SizeRow, measure_sizes, published_figures_page

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
