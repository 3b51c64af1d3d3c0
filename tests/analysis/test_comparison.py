"""HRNet against the others: the data, the page in docs, and time."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from hrnet_mm.analysis import (
    PARTNERS,
    TASKS,
    Measured,
    compare_partners,
    comparison_page,
    config_of,
    configs_folder,
    partners_of,
    require_tasks,
    time_inference,
    write_comparison,
)
from hrnet_mm.analysis.published import GIGA
from hrnet_mm.config.errors import ConfigError
from hrnet_mm.config.files import find_config
from hrnet_mm.config.load import load_config

ROOT = Path(__file__).resolve().parents[2]
RESNET = 'mmpretrain::resnet/resnet50_8xb32_in1k.py'
POSE = 'mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm'

pytestmark = pytest.mark.filterwarnings('ignore:pkg_resources is deprecated')


# -- the data -------------------------------------------------------------------------------------


def test_every_partner_is_there_and_named_once():
    for partner in PARTNERS:
        assert partner.task in TASKS
        assert '::' in partner.config or (configs_folder() / partner.config).is_file()
        if '::' in partner.config:
            assert find_config(partner.config).is_file()
    assert len({(partner.config, partner.shape) for partner in PARTNERS}) == len(PARTNERS)


def test_whom_the_paper_compares_with_is_there():
    theirs = {task: [p.name for p in partners_of([task]) if '::' in p.config] for task in TASKS}
    assert {name.split('-')[0].split(',')[0] for name in theirs['pose']} == {'Hourglass', 'SimpleBaseline'}
    assert [name.split(',')[0] for name in theirs['segmentation']] == [
        'U-Net',
        'DeepLabv3',
        'DeepLabv3+',
        'PSPNet',
    ]
    assert theirs['detection'] == ['ResNet-50-FPN', 'ResNet-101-FPN', 'ResNeXt-101-64x4d-FPN']
    assert theirs['classification'] == ['ResNet-50', 'ResNet-101', 'ResNet-152']
    for task in TASKS:
        assert any('::' not in p.config for p in partners_of([task]))


def test_tasks_come_in_the_tables_order():
    assert require_tasks([]) == tuple(TASKS)
    assert require_tasks(['detection', 'pose']) == ('pose', 'detection')
    with pytest.raises(ConfigError, match=r"--compare = 'sport': expected one of pose, segmentation, det"):
        require_tasks(['pose', 'sport'])


# -- the page -------------------------------------------------------------------------------------


@cache
def all_rows() -> tuple[Measured, ...]:
    """Every row, measured once for this file."""
    return tuple(compare_partners())


@pytest.mark.slow
def test_the_comparison_in_docs_is_up_to_date():
    """Remake it: python tools/complexity.py --compare > docs/comparison.md"""
    page = (ROOT / 'docs/comparison.md').read_text(encoding='utf-8')
    assert page == comparison_page(all_rows()) + '\n'


#: Rows whose networks are the paper's: parameters that round to what it prints.
SAME_NETWORKS = [
    *(
        f'{POSE}_res{depth}_8xb{batch}-210e_coco-256x192.py'
        for depth, batch in ((50, 64), (101, 64), (152, 32))
    ),
    'hrnetv1_w32_coco_256x192.py',
    'hrnetv2_w48_cityscapes.py',
    RESNET,
]


@pytest.mark.slow
@pytest.mark.parametrize('config', SAME_NETWORKS)
def test_the_papers_own_figures_are_near(config):
    """The same networks, so the paper's parameters to the digit, and its GPU memory where it gives it."""
    row = next(row for row in all_rows() if row.partner.config == config)
    published = row.partner.published
    assert f'{row.params / 1e6:.1f}' == published.params
    if published.memory and row.partner.task == 'pose':
        assert row.memory.inference / 1e9 == pytest.approx(float(published.memory), rel=0.15)


def test_the_paper_counts_transposed_convolutions_at_the_output():
    """What the note on SimpleBaseline says, for ResNet-50."""
    config = f'{POSE}_res50_8xb64-210e_coco-256x192.py'
    (row,) = compare_partners([p for p in PARTNERS if p.config == config])
    widths, pixels = (2048, 256, 256), (8 * 6, 16 * 12, 32 * 24)
    once = sum(width * 256 * 16 * area for width, area in zip(widths, pixels, strict=True))
    assert f'{(row.size.macs + 3 * once) / GIGA:.2f}' == '8.99'
    assert '8.99' in row.partner.note


def test_auxiliary_heads_are_left_out_of_the_parameters():
    (psp,) = (p for p in PARTNERS if p.name.startswith('PSPNet'))
    (row,) = compare_partners([psp], shape=(64, 64))
    head = 9 * 1024 * 256 + 2 * 256 + 257 * 19
    assert row.size.auxiliary_params == head
    assert row.params == row.size.params - head
    assert row.shape == (64, 64)


def small(name: str) -> list[Measured]:
    return compare_partners([p for p in PARTNERS if p.name == name], shape=(32, 32), timed=True)


def test_time_is_shown_where_it_was_measured(tmp_path):
    (row,) = rows = small('ResNet-50')
    assert 0 < row.timing.fastest <= row.timing.seconds <= row.timing.slowest
    page = comparison_page(rows)
    assert '| time (s) | timed at | paper: params (M) |' in page
    assert (
        f'| {row.timing.seconds:.3f} ({row.timing.fastest:.3f} to {row.timing.slowest:.3f}) | 32x32 |' in page
    )
    assert row.timing.device in page

    write_comparison(tmp_path / 'rows.json', rows)
    (record,) = json.loads((tmp_path / 'rows.json').read_text(encoding='utf-8'))['rows']
    assert record['partner']['config'] == RESNET
    assert record['params'] == row.params
    assert record['timing']['seconds'] == row.timing.seconds
    assert record['memory']['inference'] == row.memory.inference


def test_the_page_without_time_has_no_time():
    (row,) = compare_partners([p for p in PARTNERS if p.name == 'HRNet-W18-C'], shape=(32, 32))
    page = comparison_page([row])
    assert '| time (s) |' not in page
    assert '[**HRNet-W18-C**](../configs/hrnet_w18_imagenet.py) | 32x32 | 21.30 |' in page


def test_rounds_are_interleaved(monkeypatch):
    """A, B, A, B: whatever else the machine does meets both."""
    from hrnet_mm.analysis import timing

    order: list[str] = []
    monkeypatch.setattr(timing, '_inference', lambda cfg, shape, device: lambda: order.append(cfg))
    times = timing.time_inference(['a', 'b'], [(1, 1), (2, 2)], rounds=2)
    assert order == ['a', 'b'] * 3  # once to warm up
    assert [t.shape for t in times] == [(1, 1), (2, 2)]


def test_a_detector_is_timed_with_its_boxes():
    cfg = load_config(configs_folder() / 'hrnetv2p_w18_small_v1_faster_rcnn_synthetic.py')
    cfg.model.test_cfg.rpn.max_per_img = 5
    (timing,) = time_inference([cfg], [(64, 96)], rounds=1)
    assert timing.seconds > 0


def test_a_config_is_found_by_package_or_by_file():
    for name in ('ResNet-50', 'HRNet-W18-C'):
        (partner,) = (p for p in PARTNERS if p.name == name)
        assert config_of(partner).model.type == 'ImageClassifier'
