"""HRNet against the others: the data and the page in docs."""

from __future__ import annotations

from functools import cache

import pytest
from publishing.comparison import MeasuredNetwork, comparison_page, measure_networks
from publishing.figures import COMPARED, COMPARISONS, ROOT

from hrnet_mm.analysis import GIGA
from hrnet_mm.config.files import find_config

RESNET = 'mmpretrain::resnet/resnet50_8xb32_in1k.py'
POSE = 'mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm'


def test_every_network_of_the_paper_is_there_and_named_once():
    for network in COMPARED:
        assert (
            ROOT / 'configs' / network.config if network.is_ours else find_config(network.config)
        ).is_file()
    assert len({(network.config, network.shape) for network in COMPARED}) == len(COMPARED)
    others = [n for n in COMPARED if not n.name.startswith('HRNet')]
    theirs = {task: [n.name for n in others if n.task == task] for task in COMPARISONS}
    assert {name.split('-')[0].split(',')[0] for name in theirs['pose']} == {'Hourglass', 'SimpleBaseline'}
    assert [name.split(',')[0] for name in theirs['segmentation']] == [
        'SegNet', 'DeconvNet', 'U-Net', 'DeepLabv3', 'DeepLabv3+', 'PSPNet',
    ]  # fmt: skip
    assert theirs['detection'] == ['ResNet-50-FPN', 'ResNet-101-FPN', 'ResNeXt-101-64x4d-FPN']
    assert theirs['classification'] == ['ResNet-50', 'ResNet-101', 'ResNet-152']
    assert {network.task for network in COMPARED if network.is_ours} == set(COMPARISONS)


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


def test_auxiliary_heads_are_left_out_of_the_parameters():
    (psp,) = (network for network in COMPARED if network.name.startswith('PSPNet'))
    (row,) = measure_networks([psp], shape=(64, 64))
    head = 9 * 1024 * 256 + 2 * 256 + 257 * 19
    assert row.size.auxiliary_params == head
    assert (row.params, row.shape) == (row.size.params - head, (64, 64))


def test_a_row_of_ours_links_its_config():
    networks = [network for network in COMPARED if network.name in ('SegNet', 'ResNet-50', 'HRNet-W18-C')]
    page = comparison_page(measure_networks(networks, shape=(32, 32)))
    assert '[SegNet](../configs/relatives/segnet_vgg16_cityscapes.py) | 32x32 | 29.44 |' in page
    assert '[**HRNet-W18-C**](../configs/hrnet_w18_imagenet.py) | 32x32 | 21.30 |' in page
