"""Every conversion gives the peer's own module the same outputs, loses nothing it need not, and says what."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from peers import assert_close, build_peer, images
from published_files import BUILDERS, pairs, specimen
from torch import nn

from hrnet_mm import HRNetBackbone, HRNetClassificationNeck
from hrnet_mm.checkpoints import (
    Checkpoint,
    CheckpointError,
    ConversionReport,
    convert_checkpoint,
    read_checkpoint,
)
from hrnet_mm.checkpoints.converting import convert

ROOT = Path(__file__).resolve().parents[2]
UNBIASED = ('mmpretrain', 'mmseg')


@pytest.fixture(scope='module')
def file_of(tmp_path_factory):
    """The file that a publisher writes for a task, written once."""
    folder = tmp_path_factory.mktemp('files')

    def write(publisher: str, task: str) -> Path:
        path = folder / f'{publisher}_{task}.pth'
        return path if path.exists() else specimen(publisher, task).save(path)

    return write


def load_strictly(module: nn.Module, path: Path) -> None:
    """As the publisher's own loader would, once the wrapping is off."""
    state = torch.load(path)
    state = state.get('state_dict', state)
    state = {key.removeprefix('model.'): value for key, value in state.items()}
    if hasattr(module, 'body'):  # of the zoo's official networks; the loader asks for plain keys
        heads = [name for name, _ in module.named_children() if name != 'body']
        state = {k if k.split('.')[0] in heads else f'body.{k}': v for k, v in state.items()}
    module.load_state_dict(state)


@pytest.mark.parametrize(('task', 'source', 'target'), pairs())
def test_outputs_are_equal(tmp_path, file_of, task, source, target):
    original, copied = specimen(source, task), specimen(target, task, seed=1)
    file = file_of(source, task)
    report = convert_checkpoint(file, tmp_path / 'out.pth', to=target)
    load = load_detector if 'official' in (source, target) and task == 'detection' else load_strictly
    load(copied.module, tmp_path / 'out.pth')
    x = images(1, size=(64, 64), dtype=torch.float64)
    with torch.no_grad():
        assert_close(copied.run(x), original.run(x), rel=1e-9)
    assert report.source == str(file)


def load_detector(module: nn.Module, path: Path) -> None:
    """Between old and new detectors only body and pyramid are told to be the same."""
    missing, unexpected = module.load_state_dict(torch.load(path)['state_dict'], strict=False)
    assert {key.split('.')[0] for key in missing} <= {'rpn_head', 'bbox_head', 'roi_head'}
    assert not unexpected


@pytest.mark.parametrize(('task', 'source', 'target'), pairs())
def test_round_trips(tmp_path, file_of, task, source, target):
    """Bit for bit, biases before norms apart, which come back as part of the running mean."""
    first, there, back = file_of(source, task), tmp_path / 'there.pth', tmp_path / 'back.pth'
    report = convert_checkpoint(first, there, to=target)
    convert_checkpoint(there, back, to=source)
    check_report(report, task, source, target)
    before, after = read_checkpoint(first).state, read_checkpoint(back).state
    before = {key: value for key, value in before.items() if key not in report.dropped}
    assert set(after) == set(before)
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert {key.rsplit('.', 1)[1] for key in changed} <= {'bias', 'running_mean'}
    assert len(changed) == 2 * len(report.folded)
    assert report.tensors == len(read_checkpoint(there).state)


def check_report(report: ConversionReport, task: str, source: str, target: str) -> None:
    """It says what it did."""
    had_biases, wants_biases = (biased(name, task) for name in (source, target))
    norms = {'classification': 4, 'segmentation': 1, 'ocr': 2}.get(task, 0)
    assert len(report.folded) == (norms if had_biases and not wants_biases else 0)
    assert len(report.added) == (norms if wants_biases and not had_biases else 0)
    lost = {key.split('.')[0] for key in report.dropped}
    old_heads = {'rpn_head', 'bbox_head'} if source == 'official' else {'rpn_head', 'roi_head'}
    if task == 'detection' and 'official' in (source, target):
        assert lost == old_heads
    elif source == 'official' and task in ('segmentation', 'ocr'):
        assert lost == {'loss'}
    else:
        assert not lost
    assert report.left == (('optimizer', 'message_hub') if 'official' != source != 'timm' else report.left)


def biased(publisher: str, task: str) -> bool:
    return publisher not in UNBIASED and (publisher, task) != ('hrnet_mm', 'ocr')


@pytest.mark.parametrize('to', ['mmpose', 'mmseg', 'mmdet'])
def test_a_head_without_a_place_is_dropped_and_named(tmp_path, to):
    file = specimen('timm', 'classification').save(tmp_path / 'in.pth')
    report = convert_checkpoint(file, tmp_path / 'out.pth', to=to)
    assert {key.split('.')[0] for key in report.dropped} == {
        'incre_modules',
        'downsamp_modules',
        'final_layer',
        'classifier',
    }
    assert 'dropped, the target has no place for them' in str(report) and 'incre_modules' in str(report)
    state = torch.load(tmp_path / 'out.pth')['state_dict']
    body = build_peer('mmseg').double()
    body.load_state_dict({key.removeprefix('backbone.'): value for key, value in state.items()})


@pytest.mark.parametrize('to', ['mmpose', 'official', 'hrnet_mm'])
def test_safetensors_hold_the_same(tmp_path, to):
    file = specimen('mmpose', 'keypoints').save(tmp_path / 'in.pth')
    convert_checkpoint(file, tmp_path / 'out.safetensors', to=to)
    convert_checkpoint(file, tmp_path / 'out.pth', to=to)
    flat, wrapped = (read_checkpoint(tmp_path / f'out.{kind}') for kind in ('safetensors', 'pth'))
    assert_close(dict(sorted(flat.state.items())), dict(sorted(wrapped.state.items())), rel=0)
    if to != 'official':
        assert flat.meta['hrnet_mm'] == wrapped.meta['hrnet_mm']


def test_ema_weights_only_when_asked(tmp_path):
    first, second = (specimen('mmpose', 'keypoints', seed) for seed in (0, 1))
    ema = {f'module.{key}': value for key, value in second.module.state_dict().items()}
    ema['steps'] = torch.tensor(3)
    torch.save(first.content() | dict(ema_state_dict=ema), tmp_path / 'in.pth')
    for asked, truth in ((False, first), (True, second)):
        convert_checkpoint(tmp_path / 'in.pth', tmp_path / 'out.pth', ema=asked)
        assert_close(torch.load(tmp_path / 'out.pth')['state_dict'], dict(truth.module.state_dict()), rel=0)
    first.save(tmp_path / 'in.pth')
    with pytest.raises(CheckpointError, match=r'holds no weights .*expected ema_state_dict'):
        convert_checkpoint(tmp_path / 'in.pth', tmp_path / 'none.pth', ema=True)


def test_a_failed_conversion_writes_nothing(tmp_path):
    (tmp_path / 'in.pth').write_bytes(b'')
    (tmp_path / 'out.pth').write_text('precious')
    with pytest.raises(CheckpointError, match='is empty'):
        convert_checkpoint(tmp_path / 'in.pth', tmp_path / 'out.pth')
    file = specimen('mmpose', 'keypoints').save(tmp_path / 'good.pth')
    with pytest.raises(ValueError, match="to='mmcls' is unknown; expected one of hrnet_mm, mmpose"):
        convert_checkpoint(file, tmp_path / 'out.pth', to='mmcls')
    with pytest.raises(CheckpointError, match='is a folder; expected a file to write to'):
        convert_checkpoint(file, tmp_path)
    with pytest.raises(CheckpointError, match=r'cannot be written \(.*\); expected a path to write to'):
        convert_checkpoint(file, tmp_path / 'in.pth' / 'out.pth')
    assert (tmp_path / 'out.pth').read_text() == 'precious'
    assert sorted(path.name for path in tmp_path.iterdir()) == ['good.pth', 'in.pth', 'out.pth']


def test_the_tool(tmp_path):
    specimen('official', 'segmentation').save(tmp_path / 'in.pth')

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / 'tools' / 'convert_checkpoint.py'), *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    done = run('in.pth', 'new/out.pth', '--to', 'mmseg')
    assert done.returncode == 0, done.stderr
    assert 'in.pth: HRNet-Semantic-Segmentation -> mmseg, segmentation' in done.stdout
    assert 'biases folded into the norms behind them: 1 (neck.mix.conv.bias)' in done.stdout
    assert 'dropped, the target has no place for them: 1 (loss.criterion)' in done.stdout
    assert done.stdout.splitlines()[-1] == 'written: new/out.pth'
    assert read_checkpoint(tmp_path / 'new/out.pth').state
    refused = run('gone.pth', 'out.pth')
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1].startswith('error: checkpoint gone.pth: is not there; expected')


@pytest.mark.parametrize('arch', ['w18_small_v2', 'w48'])
def test_published_architectures(arch):
    """Keys and shapes of the real networks: ours converted are timm's."""
    with torch.device('meta'):
        ours = nn.ModuleDict(dict(backbone=HRNetBackbone(arch)))
        neck = HRNetClassificationNeck(ours['backbone'].out_channels)
        ours['neck'] = nn.ModuleList([neck])
        ours['head'] = nn.ModuleDict(dict(fc=nn.Linear(2048, 1000)))
        theirs = timm.create_model(f'hrnet_{arch.removesuffix("_v1")}')
    converted = convert(Checkpoint('ours', ours.state_dict(), {}, ()), to='timm')
    shapes = {key: value.shape for key, value in theirs.state_dict().items()}
    assert {key: value.shape for key, value in converted.state.items()} == shapes
    assert not converted.report.dropped


def test_every_publisher_has_a_specimen():
    from hrnet_mm.checkpoints import LAYOUTS

    rows = {(row.publisher, row.task) for row in LAYOUTS if row.task != 'body'}
    assert rows == set(BUILDERS)


def test_file_is_not_written_over_itself(tmp_path):
    path = tmp_path / 'weights.pth'
    path.write_bytes(b'precious')
    with pytest.raises(CheckpointError, match='written over itself'):
        convert_checkpoint(path, path)
    assert path.read_bytes() == b'precious'
