"""Weights of any layout into models of any layout, and the report of it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from peers import TINY_CHANNELS, assert_close, build_ours, build_peer, images, scramble
from published_files import BUILDERS, CLASSES, pairs, specimen
from torch import nn

from hrnet_mm import HRNetV2Neck
from hrnet_mm.checkpoints import Checkpoint, CheckpointError, convert_checkpoint, load_weights, unwrap

HEADS = {
    'classification': {'incre_modules', 'downsamp_modules', 'final_layer', 'classifier'},
    'keypoints': {'final_layer'},
    'segmentation': {'last_layer', 'loss'},
    'ocr': {'aux_head', 'conv3x3_ocr', 'ocr_distri_head', 'cls_head', 'loss'},
}
QUIET = pytest.mark.filterwarnings('ignore:checkpoint .* was trained with upsample_cfg')


def of_specimen(publisher: str, task: str) -> Checkpoint:
    return unwrap(specimen(publisher, task).content(), source=f'{publisher} {task}')


def ours_for(scope: str, **kwargs: Any) -> Any:
    return scramble(build_ours(scope, **kwargs), seed=1).double().eval()


@pytest.mark.parametrize(('task', 'source', 'target'), [pair for pair in pairs() if pair[2] == 'hrnet_mm'])
@QUIET
def test_whole_models_take_every_layout_of_their_task(task: str, source: str, target: str) -> None:
    original, copied = specimen(source, task), specimen(target, task, seed=2)
    report = load_weights(copied.module, of_specimen(source, task))
    x = images(1, size=(64, 64), dtype=torch.float64)
    with torch.no_grad():
        assert_close(copied.run(x), original.run(x), rel=1e-9)
    if (task, source) != ('detection', 'official'):
        assert report.complete, report
        assert {key.split('.')[0] for key in report.ignored} <= {'loss'}
    wanted = len(report.loaded) + len(report.missing)
    assert f'loaded: {len(report.loaded)} of {wanted} tensors' in str(report)


@pytest.mark.parametrize(
    ('source', 'task'), [(source, task) for source, task in BUILDERS if source in ('official', 'mmdet')]
)
@QUIET
def test_a_backbone_takes_the_body_of_everything(source: str, task: str) -> None:
    checkpoint = of_specimen(source, task)
    model = ours_for('mmpose')  # produces the finest stream alone
    report = load_weights(model, checkpoint)
    assert report.complete and set(report.loaded) == set(model.state_dict())
    peer = build_peer('mmpose').double()
    peer.eval()  # gives nothing back
    body = {key.split('backbone.')[-1].removeprefix('model.'): v for key, v in checkpoint.state.items()}
    peer.load_state_dict({key: body[key] for key in peer.state_dict()})
    x = images(1, size=(64, 64), dtype=torch.float64)
    with torch.no_grad():
        assert_close(model(x), peer(x), rel=1e-9)
    if source == 'official' and task in HEADS:
        ignored = {key.removeprefix('model.').split('.')[0] for key in report.ignored}
        assert ignored - {'stage4'} == HEADS[task]


@QUIET
def test_a_classification_head_under_a_pose_model_is_no_alarm() -> None:
    model = specimen('hrnet_mm', 'keypoints', seed=2).module
    report = load_weights(model, of_specimen('timm', 'classification'))
    assert not report.unexpected and not report.other_shape
    assert report.missing == ('head.final_layer.weight', 'head.final_layer.bias')
    lines = str(report).splitlines()
    assert lines[0] == 'weights from timm classification'
    assert lines[1].startswith('  layout: HRNet-Image-Classification or timm')
    extras = 'stage4, incre_modules, downsamp_modules, final_layer, ...'
    assert lines[3] == f'  known extras ignored: {len(report.ignored)} ({extras})'
    assert lines[4] == '  missing, left as initialised: 2 (head.final_layer.weight, head.final_layer.bias)'


def test_other_classes_are_reported_and_the_rest_is_loaded() -> None:
    """And what has no place and should have one is unexpected."""
    model: Any = copy.deepcopy(specimen('hrnet_mm', 'keypoints', seed=2).module)
    model.head.final_layer = nn.Conv2d(TINY_CHANNELS[0], 9, 1).double()
    before = model.head.final_layer.weight.clone()
    checkpoint = of_specimen('mmpose', 'keypoints')
    checkpoint.state['head.second_layer.weight'] = torch.ones(1)
    report = load_weights(model, checkpoint)
    assert list(report.other_shape) == ['head.final_layer.weight', 'head.final_layer.bias']
    shapes = f'(file {CLASSES}x4x1x1, model 9x4x1x1)'
    assert f'other shape: 2 (head.final_layer.weight {shapes}, head.final_layer.bias' in str(report)
    assert 'unexpected: 1 (head.second_layer.weight)' in str(report)
    assert len(report.loaded) == len(model.state_dict()) - 2 and not report.complete
    assert torch.equal(model.head.final_layer.weight, before)


def test_models_of_ones_own_keep_their_own_keys() -> None:
    """A model that is nobody's layout, and its own checkpoint with another number of classes."""
    first, second = (
        nn.ModuleDict(
            dict(encoder=build_ours('mmseg'), decoder=nn.Conv2d(4, 4, 1), out=nn.Linear(4, classes))
        )
        for classes in (2, 3)
    )
    scramble(first)
    report = load_weights(second, unwrap(dict(state_dict=first.state_dict()), source='own'))
    assert list(report.other_shape) == ['out.weight', 'out.bias']
    assert report.ignored == report.unexpected == report.missing == ()
    for part in ('encoder', 'decoder'):
        assert_close(dict(second[part].state_dict()), dict(first[part].state_dict()), rel=0)


@QUIET
def test_rows_of_the_last_fusion_are_there_or_missing_as_a_whole() -> None:
    report = load_weights(ours_for('mmpretrain'), of_specimen('mmpose', 'keypoints'))
    assert report.missing and all(key.startswith('stage4.1.fuse_layers.') for key in report.missing)
    assert not report.unexpected
    assert report.ignored == ('head.final_layer.weight', 'head.final_layer.bias')
    checkpoint = of_specimen('timm', 'classification')
    del checkpoint.state['stage4.1.fuse_layers.1.0.0.0.weight']
    with pytest.raises(CheckpointError, match=r'1 tensors do not fit, such as stage4\.1\.fuse_layers'):
        load_weights(ours_for('mmpretrain'), checkpoint)


def test_a_bias_goes_where_the_model_has_room_for_it() -> None:
    """Our neck without a bias, under the authors' weights with one."""
    model: Any = copy.deepcopy(specimen('hrnet_mm', 'segmentation', seed=2).module)
    model.neck = HRNetV2Neck(TINY_CHANNELS, conv_bias=False).double().eval()
    original = specimen('official', 'segmentation')
    with pytest.warns(UserWarning, match='upsample_cfg'):
        report = load_weights(model, of_specimen('official', 'segmentation'))
    assert report.complete and '1 biases folded into the norms behind them' in report.notes
    x = images(1, size=(64, 64), dtype=torch.float64)
    with torch.no_grad():
        assert_close(model(x, None, mode='tensor'), original.run(x), rel=1e-9)


def test_a_bias_before_another_norm_cannot_be_folded() -> None:
    checkpoint = of_specimen('hrnet_mm', 'segmentation')
    del checkpoint.state['neck.mix.bn.running_mean']
    with pytest.raises(CheckpointError, match=r'bias neck\.mix\.conv\.bias before a norm without .*_mean'):
        load_weights(specimen('mmseg', 'segmentation', seed=2).module, checkpoint)


# -- other inputs than RGB ------------------------------------------------------------------------


@pytest.mark.parametrize(('in_channels', 'how'), [(1, 'summed'), (6, 'repeated and scaled by 3/6')])
def test_other_inputs_give_what_rgb_gives(in_channels: int, how: str) -> None:
    """Of a grey image, and of RGB twice."""
    models = [ours_for('mmpretrain', in_channels=channels) for channels in (3, in_channels)]
    reports = [load_weights(model, of_specimen('timm', 'classification')) for model in models]
    assert reports[1].notes == (f'first convolution adapted from 3 to in_channels={in_channels} ({how})',)
    x = images(1, channels=min(in_channels, 3), size=(64, 64), dtype=torch.float64)
    rgb = x.expand(-1, 3, -1, -1)
    with torch.no_grad():
        assert_close(models[1](x if in_channels == 1 else torch.cat([x, x], dim=1)), models[0](rgb), rel=1e-9)


def test_a_fourth_channel_repeats_the_first() -> None:
    rgb, four, again = (ours_for('mmpretrain', in_channels=channels) for channels in (3, 4, 4))
    load_weights(four, unwrap(rgb.state_dict(), source='three'))
    for i in range(4):
        assert_close(four.conv1.weight[:, i], rgb.conv1.weight[:, i % 3] * 3 / 4, rel=1e-12)
    again.conv1.weight.data.zero_()
    report = load_weights(again, unwrap(four.state_dict(), source='four'))
    assert report.notes == () and torch.equal(again.conv1.weight, four.conv1.weight)


# -- fusion upsampling ----------------------------------------------------------------------------

NEAREST = dict(mode='nearest')
BILINEAR = dict(mode='bilinear', align_corners=False)
ALIGNED = dict(mode='bilinear', align_corners=True)
TRAINED = {
    ('timm', 'classification'): NEAREST,
    ('official', 'keypoints'): NEAREST,
    ('official', 'segmentation'): ALIGNED,
    ('mmpose', 'keypoints'): NEAREST,
    ('mmseg', 'ocr'): BILINEAR,
    ('mmdet', 'detection'): NEAREST,
    ('mmpretrain', 'classification'): NEAREST,
    ('hrnet_mm', 'segmentation'): None,  # does not tell
}


@pytest.mark.parametrize('setting', [NEAREST, BILINEAR], ids=str)
def test_another_upsampling_is_warned_about(
    setting: dict[str, Any], recwarn: pytest.WarningsRecorder
) -> None:
    model = ours_for('mmpretrain', upsample_cfg=setting)
    for (publisher, task), theirs in TRAINED.items():
        recwarn.clear()
        report = load_weights(model, of_specimen(publisher, task))
        if theirs in (setting, None):
            assert not len(recwarn) and report.notes == ()
            continue
        (warning,) = recwarn
        expected = f'trained with upsample_cfg={theirs}, and the model is set to upsample_cfg={setting}'
        assert expected in str(warning.message) and 'set upsample_cfg of the backbone' in str(warning.message)
        assert report.notes == (expected,)


def test_a_converted_file_goes_on_telling(tmp_path: Path) -> None:
    specimen('official', 'segmentation').save(tmp_path / 'in.pth')
    for name in ('out.pth', 'out.safetensors'):
        convert_checkpoint(tmp_path / 'in.pth', tmp_path / name)
        with pytest.warns(UserWarning, match=r"upsample_cfg=\{'mode': 'bilinear', 'align_corners': True"):
            load_weights(ours_for('mmseg'), tmp_path / name)
