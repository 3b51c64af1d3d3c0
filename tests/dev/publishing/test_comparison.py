"""HRNet against the others: the data and the page in docs."""

from __future__ import annotations

from functools import cache

import pytest
from publishing.comparison import MeasuredNetwork, comparison_page, measure_networks
from publishing.figures import COMPARED, ROOT

from hrnet_mm.analysis import GIGA

RESNET = 'mmpretrain::resnet/resnet50_8xb32_in1k.py'
POSE = 'mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm'


@cache
def all_rows() -> tuple[MeasuredNetwork, ...]:
    """Every row, measured once for this file."""
    return tuple(measure_networks())


@pytest.mark.nightly
def test_the_page_in_docs_is_up_to_date():
    """Remake it: python tools/dev/pages.py comparison"""
    assert (ROOT / 'docs/comparison.md').read_text(encoding='utf-8') == comparison_page(all_rows())


#: Rows whose networks are the paper's: parameters that round to what it prints.
SAME_NETWORKS = [
    f'{POSE}_res50_8xb64-210e_coco-256x192.py',
    f'{POSE}_res101_8xb64-210e_coco-256x192.py',
    f'{POSE}_res152_8xb32-210e_coco-256x192.py',
    'hrnetv1_w32_coco_256x192.py',
    'hrnetv2_w48_cityscapes.py',
    RESNET,
]


@pytest.mark.nightly
@pytest.mark.parametrize('config', SAME_NETWORKS)
def test_the_papers_own_figures_are_near(config):
    """The same networks, so the paper's parameters to the digit, and its GPU memory where it gives it."""
    row = next(row for row in all_rows() if row.network.config == config)
    paper = row.network.paper
    assert f'{row.params / 1e6:.1f}' == paper['params']
    if 'memory' in paper and row.network.task == 'pose':
        assert row.memory.inference / 1e9 == pytest.approx(float(paper['memory']), rel=0.15)


def test_the_paper_counts_transposed_convolutions_at_the_output():
    """What the note on SimpleBaseline says, for ResNet-50."""
    (network,) = (n for n in COMPARED if n.config == f'{POSE}_res50_8xb64-210e_coco-256x192.py')
    (row,) = measure_networks([network])
    widths, pixels = (2048, 256, 256), (8 * 6, 16 * 12, 32 * 24)
    once = sum(width * 256 * 16 * area for width, area in zip(widths, pixels, strict=True))
    assert f'{(row.size.macs + 3 * once) / GIGA:.2f}' == '8.99'
    assert '8.99' in network.note
