"""Every conversion gives the peer's own module the same outputs, loses nothing it need not, and says what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peers import assert_close, build_peer, images
from published_files import pairs, specimen
from tool_runs import in_process
from torch import nn

from hrnet_mm.checkpoints import CheckpointError, ConversionReport, convert_checkpoint, read_checkpoint
from hrnet_mm.checkpoints.reading import load_file

UNBIASED = ('mmpretrain', 'mmseg')


@pytest.fixture(scope='module')
def file_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """The file that a publisher writes for a task, written once."""
    folder = tmp_path_factory.mktemp('files')

    def write(publisher: str, task: str) -> Path:
        path = folder / f'{publisher}_{task}.pth'
        return path if path.exists() else specimen(publisher, task).save(path)

    return write


def load_as_published(module: nn.Module, path: Path, *, heads_differ: bool) -> None:
    """As the publisher's own loader would, once the wrapping is off."""
    state = torch.load(path)
    state = state.get('state_dict', state)
    state = {key.removeprefix('model.'): value for key, value in state.items()}
    if hasattr(module, 'body'):  # of the zoo's official networks; the loader asks for plain keys
        heads = [name for name, _ in module.named_children() if name != 'body']
        state = {k if k.split('.')[0] in heads else f'body.{k}': v for k, v in state.items()}
    missing, unexpected = module.load_state_dict(state, strict=not heads_differ)
    assert not unexpected
    assert {key.split('.')[0] for key in missing} <= {'rpn_head', 'bbox_head', 'roi_head'}


@pytest.mark.parametrize(('task', 'source', 'target'), pairs())
def test_outputs_are_equal_and_files_come_back(
    tmp_path: Path, file_of: Callable[[str, str], Path], task: str, source: str, target: str
) -> None:
    """Back bit for bit, biases before norms apart, which come back as part of the running mean."""
    first, there, back = file_of(source, task), tmp_path / 'there.pth', tmp_path / 'back.pth'
    report = convert_checkpoint(first, there, to=target)
    assert report.source == str(first)
    check_report(report, task, source, target)
    # between old and new detectors only body and pyramid are told to be the same
    differ = task == 'detection' and 'official' in (source, target)
    original, copied = specimen(source, task), specimen(target, task, seed=1)
    load_as_published(copied.module, there, heads_differ=differ)
    x = images(1, size=(64, 64), dtype=torch.float64)
    with torch.no_grad():
        assert_close(copied.run(x), original.run(x), rel=1e-9)

    convert_checkpoint(there, back, to=source)
    before, after = read_checkpoint(first).state, read_checkpoint(back).state
    before = {key: value for key, value in before.items() if key not in report.dropped}
    assert set(after) == set(before)
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert {key.rsplit('.', 1)[1] for key in changed} <= {'bias', 'running_mean'}
    assert len(changed) == 2 * len(report.folded)
    assert report.tensors == len(read_checkpoint(there).state)


def check_report(report: ConversionReport, task: str, source: str, target: str) -> None:
    """It says what it did."""
    had_biases, wants_biases = (
        name not in UNBIASED and (name, task) != ('hrnet_mm', 'ocr') for name in (source, target)
    )
    norms = {'classification': 4, 'segmentation': 1, 'ocr': 2}.get(task, 0)
    assert len(report.folded) == norms * (had_biases and not wants_biases)
    assert len(report.added) == norms * (wants_biases and not had_biases)
    lost: set[str] = set()
    if task == 'detection' and 'official' in (source, target):
        lost = {'rpn_head', 'bbox_head' if source == 'official' else 'roi_head'}
    elif source == 'official' and task in ('segmentation', 'ocr'):
        lost = {'loss'}
    assert {key.split('.')[0] for key in report.dropped} == lost
    assert report.left == (('optimizer', 'message_hub') if 'official' != source != 'timm' else report.left)


def test_a_head_without_a_place_is_dropped_and_named(tmp_path: Path) -> None:
    file = specimen('timm', 'classification').save(tmp_path / 'in.pth')
    report = convert_checkpoint(file, tmp_path / 'out.pth', to='mmseg')
    lost = {key.split('.')[0] for key in report.dropped}
    assert lost == {'incre_modules', 'downsamp_modules', 'final_layer', 'classifier'}
    assert 'dropped, the target has no place for them' in str(report) and 'incre_modules' in str(report)
    state = torch.load(tmp_path / 'out.pth')['state_dict']
    body = build_peer('mmseg').double()
    body.load_state_dict({key.removeprefix('backbone.'): value for key, value in state.items()})


def test_safetensors_hold_the_same(tmp_path: Path) -> None:
    file = specimen('mmpose', 'keypoints').save(tmp_path / 'in.pth')
    for kind in ('safetensors', 'pth'):
        convert_checkpoint(file, tmp_path / f'out.{kind}')
    flat, wrapped = (read_checkpoint(tmp_path / f'out.{kind}') for kind in ('safetensors', 'pth'))
    assert_close(dict(sorted(flat.state.items())), dict(sorted(wrapped.state.items())), rel=0)
    assert flat.meta['hrnet_mm'] == wrapped.meta['hrnet_mm']


def test_ema_weights_only_when_asked(tmp_path: Path) -> None:
    first, second = (specimen('mmpose', 'keypoints', seed) for seed in (0, 1))
    ema = {f'module.{key}': value for key, value in second.module.state_dict().items()}
    ema['steps'] = torch.tensor(3)
    torch.save(first.content() | dict(ema_state_dict=ema), tmp_path / 'in.pth')
    for asked, truth in ((False, first), (True, second)):
        convert_checkpoint(tmp_path / 'in.pth', tmp_path / 'out.pth', ema=asked)
        assert_close(load_file(tmp_path / 'out.pth')['state_dict'], dict(truth.module.state_dict()), rel=0)
    first.save(tmp_path / 'in.pth')
    with pytest.raises(CheckpointError, match=r'holds no weights .*expected ema_state_dict'):
        convert_checkpoint(tmp_path / 'in.pth', tmp_path / 'none.pth', ema=True)


def test_a_failed_conversion_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / 'in.pth').write_bytes(b'')
    (tmp_path / 'out.pth').write_text('precious')
    with pytest.raises(CheckpointError, match='is empty'):
        convert_checkpoint(tmp_path / 'in.pth', tmp_path / 'out.pth')
    file = specimen('mmpose', 'keypoints').save(tmp_path / 'good.pth')
    with pytest.raises(ValueError, match="to='mmcls' is unknown; expected one of hrnet_mm, mmpose"):
        convert_checkpoint(file, tmp_path / 'out.pth', to='mmcls')
    with pytest.raises(CheckpointError, match='is a folder; expected a file to write to'):
        convert_checkpoint(file, tmp_path)
    with pytest.raises(CheckpointError, match='written over itself'):
        convert_checkpoint(file, tmp_path / 'nowhere' / '..' / 'good.pth')
    with pytest.raises(CheckpointError, match=r'cannot be written \(.* MB needed.*\); expected a folder'):
        convert_checkpoint(file, tmp_path / 'in.pth' / 'out.pth')
    assert (tmp_path / 'out.pth').read_text() == 'precious'
    assert sorted(path.name for path in tmp_path.iterdir()) == ['good.pth', 'in.pth', 'out.pth']


@pytest.mark.usefixtures('own_folder')
def test_the_tool(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    specimen('official', 'segmentation').save(Path('in.pth'))

    def run(*arguments: str) -> object:
        return in_process('convert_checkpoint.py', *arguments, monkeypatch=monkeypatch)

    assert not run('in.pth', 'new/out.pth', '--to', 'mmseg')
    said = capsys.readouterr().out
    assert 'in.pth: HRNet-Semantic-Segmentation -> mmseg, segmentation' in said
    assert 'biases folded into the norms behind them: 1 (neck.mix.conv.bias)' in said
    assert 'dropped, the target has no place for them: 1 (loss.criterion)' in said
    assert said.splitlines()[-1] == 'written: new/out.pth'
    assert read_checkpoint('new/out.pth').state
    assert run('gone.pth', 'out.pth') == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith('error: checkpoint gone.pth: is not there;')
