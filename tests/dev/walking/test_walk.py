"""The walk over shipped configs: what it walks, what it survives, and how it counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from swaps import with_hrnet
from walking.outcomes import (
    Outcome,
    cnn_share,
    count,
    has_exchangeable_cnn,
    results_page,
    results_table,
)
from walking.walk import names_to_walk, proof_key, walk

from hrnet_mm.swap import SwapRequest

REQUEST = SwapRequest(arch='w18_small_v1')
RESNET18 = 'mmpretrain::resnet/resnet18_8xb32_in1k.py'
RESNET50 = 'mmpretrain::resnet/resnet50_8xb32_in1k.py'
CONTRASTIVE = 'mmpretrain::simclr/simclr_resnet50_16xb256-coslr-200e_in1k.py'
BROKEN = 'mmpretrain::swin_transformer_v2/swinv2-base-w12_8xb128_in21k-192px.py'

OUTCOMES = [
    Outcome('mmdet::a.py', 'proven', key='1', is_cnn=True),
    Outcome('mmdet::b.py', 'refused', part='model.neck', reason='a | b', is_cnn=True),
    Outcome('mmdet::c.py', 'unreadable', part='config', reason='no base'),
    Outcome('mmseg::d.py', 'failed', part='loss', reason='nan', is_cnn=True),
    Outcome('mmseg::e.py', 'proven', key='2', is_cnn=True),
    Outcome('mmpose::f.py', 'refused', part='model.neck', reason='a | b'),
]


def test_a_tenth_has_the_large_families_of_all_packages():
    everything, tenth = names_to_walk(), names_to_walk(tenth=True)
    assert len(tenth) == -(-len(everything) // 10)
    families = {name.rpartition('/')[0] for name in tenth}
    sizes = {name.rpartition('/')[0]: 0 for name in everything}
    for name in everything:
        sizes[name.rpartition('/')[0]] += 1
    assert {family for family, size in sizes.items() if size >= 10} <= families


@pytest.mark.nightly
def test_a_walk_survives_whatever_a_config_does(tmp_path: Path):
    deadly = tmp_path / 'deadly.py'
    deadly.write_text("__import__('os').abort()\n")
    names = [RESNET18, RESNET50, str(deadly), CONTRASTIVE, BROKEN, 'mmpretrain::nowhere.py']
    found = walk(names, REQUEST, workers=1, limit_s=600)
    assert [(outcome.kind, outcome.part) for outcome in found[:4]] == [
        ('proven', ''),
        ('proven', ''),
        ('failed', 'process'),
        ('refused', 'model.head'),
    ]
    assert [outcome.name for outcome in found] == names
    assert found[0].key == found[1].key != '', 'two depths of ResNet, but one model with HRNet'
    assert found[4].kind == found[5].kind == 'unreadable'


def test_time_is_limited(tmp_path: Path):
    endless = tmp_path / 'endless.py'
    endless.write_text("__import__('time').sleep(600)\n")
    (late,) = walk([str(endless)], REQUEST, workers=1, limit_s=2)
    assert (late.kind, late.part) == ('failed', 'time')


def test_counts_and_share():
    assert count(OUTCOMES, 'proven') == 2
    assert cnn_share(OUTCOMES) == (2, 4)
    table = results_table(OUTCOMES)
    assert '| mmdet | 3 | 1 | 1 | 0 | 1 |' in table
    assert '| all | 6 | 2 | 2 | 1 | 1 |' in table
    page = results_page(OUTCOMES, REQUEST)
    assert '50.0%' in page
    assert '| mmdet | `model.neck` | a \\| b | 1 |' in page
    assert '`mmseg::d.py` | loss: nan' in page


@pytest.mark.parametrize(
    ('model', 'expected'),
    [
        ({'type': 'RTMDet', 'backbone': {'type': 'mmpretrain.ConvNeXt'}}, True),
        ({'type': 'SoftTeacher', 'detector': {'backbone': {'type': 'ResNet'}}}, True),
        ({'type': 'MaskRCNN', 'backbone': {'type': 'SwinTransformer'}}, False),
        ({'type': 'ByteTrack', 'tracker': {}, 'detector': {'backbone': {'type': 'CSPDarknet'}}}, False),
    ],
)
def test_exchangeable_cnns(model: dict, expected: bool):
    assert has_exchangeable_cnn(model) is expected


@pytest.mark.nightly
def test_no_config_of_a_tenth_fails():
    outcomes = walk(names_to_walk(tenth=True), REQUEST, workers=2, limit_s=1800)
    assert [f'{o.name}: {o.part}: {o.reason}' for o in outcomes if o.kind == 'failed'] == []
    proven, total = cnn_share(outcomes)
    assert proven / total > 0.9


def test_only_what_decides_a_proof_is_in_its_key() -> None:
    name = 'mmpose::body_2d_keypoint/simcc/coco/simcc_mobilenetv2_wo-deconv-8xb64-210e_coco-256x192.py'
    key = proof_key(with_hrnet(name))
    other = with_hrnet(name)
    other.optim_wrapper.optimizer.lr = 1.0
    assert proof_key(other) == key
    other.model.head.in_channels = 1
    assert proof_key(other) != key
    other = with_hrnet(name)
    other.train_dataloader.dataset.pipeline[-2].encoder.sigma = 1.0
    assert proof_key(other) != key
