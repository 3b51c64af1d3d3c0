"""What a training run makes of every fault: it stops at its start, or goes on and says once what it does."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from children import Child
from data_faults import FAULTS, FIRST, Fault, bomb
from mmengine.config import Config
from mmengine.registry import TRANSFORMS
from tool_runs import in_process

from hrnet_mm.config.errors import ConfigError, DataError
from hrnet_mm.data.check import check_start
from hrnet_mm.data.findings import KINDS, Severity
from hrnet_mm.data.guard import IN_A_ROW, FaultCounter, GuardedPipeline
from hrnet_mm.training.run import run_test, run_train

KIND, EACH, PROCESSES = 'truncated image', 5000, 4
Project = Callable[[str], Config]


@TRANSFORMS.register_module(force=True)
class FailingStep:
    """A transform with a bug."""

    def __call__(self, data: object) -> object:
        return 1 // 0


@TRANSFORMS.register_module(force=True)
class LoadImageBadly:
    """A loading step with a bug."""

    def __call__(self, data: dict[str, object]) -> object:
        return data['nothing']


def of_severity(severity: Severity) -> list[str]:
    """One fault of each kind: what stands for its kind in ``test_check_data`` need not be trained on too."""
    return list({fault.kind: name for name, fault in FAULTS.items() if is_of(fault, severity)}.values())


def is_of(fault: Fault, severity: Severity) -> bool:
    return KINDS[fault.kind].severity is severity


def told(work_dir: str) -> list[str]:
    """What the log says of the data."""
    (log,) = Path(work_dir).glob('*/*.log')
    return re.findall(r' (data: .*)', log.read_text())


def train_alone(cfg: Config) -> None:
    """Two epochs, so that a sample comes up twice, without validation."""
    cfg.train_cfg.max_epochs = 2
    for key in ('val_dataloader', 'val_evaluator', 'val_cfg'):
        cfg[key] = None


@pytest.mark.parametrize('stage', ['val', 'test'])
@pytest.mark.parametrize('name', ['truncated PNG', 'empty image file', 'bomb', 'truncated label map'])
def test_a_file_to_be_tested_on_stops_at_the_start(
    name: str, stage: str, project: Project, tmp_path: Path
) -> None:
    """Where its header or its end tells; before training, not at the first validation."""
    fault = FAULTS[name]
    cfg = project(fault.scope)
    fault.spoil(tmp_path / 'data')
    with pytest.raises(ConfigError) as caught:
        check_start(cfg, stages=[stage])
    message = str(caught.value)
    assert message.startswith(f"{stage}_dataloader.dataset = '{tmp_path}/data/{fault.file}': expected data")
    assert fault.kind in message


@pytest.mark.parametrize('name', [name for name, fault in FAULTS.items() if is_of(fault, Severity.STOPS)])
def test_it_stops_at_the_start(name: str, project: Project, tmp_path: Path) -> None:
    fault = FAULTS[name]
    cfg = project(fault.scope)
    fault.spoil(tmp_path / 'data')
    with pytest.raises(ConfigError) as caught:
        run_train(cfg)
    message = str(caught.value)
    assert '\n' not in message
    assert message.startswith(f"train_dataloader.dataset = '{tmp_path}/data/{fault.file}': expected data")
    item = fault.item.replace('of images', f'of {tmp_path}/data/images')
    assert [part for part in (item, fault.kind, fault.reason) if part not in message] == []
    assert not Path(cfg.work_dir).exists()


@pytest.mark.nightly
@pytest.mark.parametrize('name', of_severity(Severity.LEFT_OUT))
def test_the_sample_is_left_out(name: str, project: Project, tmp_path: Path) -> None:
    fault = FAULTS[name]
    cfg = project(fault.scope)
    train_alone(cfg)
    fault.spoil(tmp_path / 'data')
    run_train(cfg)
    (line,) = [line for line in told(cfg.work_dir) if f' {fault.kind}: ' in line]
    assert f'{tmp_path}/data/{fault.file}' in line
    assert 'it is left out' in line
    (last,) = [line for line in told(cfg.work_dir) if 'faulty samples met' in line]
    assert f' x {fault.kind}' in last


@pytest.mark.nightly
@pytest.mark.parametrize('name', of_severity(Severity.HANDLED))
def test_it_is_handled_and_told_once(name: str, project: Project, tmp_path: Path) -> None:
    fault = FAULTS[name]
    cfg = project(fault.scope)
    cfg.train_cfg.max_epochs = 2
    fault.spoil(tmp_path / 'data')
    run_train(cfg)
    (line,) = told(cfg.work_dir)
    assert f'{tmp_path}/data/{fault.file}' in line
    assert fault.kind in line
    assert fault.reason in line
    assert KINDS[fault.kind].effect in line


@pytest.mark.parametrize('name', of_severity(Severity.NOTE))
def test_what_is_worth_knowing_is_not_told_by_a_run(name: str, project: Project, tmp_path: Path) -> None:
    cfg = project(FAULTS[name].scope)
    FAULTS[name].spoil(tmp_path / 'data')
    assert check_start(cfg, stages=['train']) == []


def test_processes_and_copies_count_together_and_one_is_first() -> None:
    ledger = FaultCounter()
    copied = copy.deepcopy({'pipeline': ledger})['pipeline']
    children = [Child(lambda: sum(copied.count(KIND) for _ in range(EACH))) for _ in range(PROCESSES)]
    assert sum(child.result(seconds=60) for child in children) == 1
    assert ledger.counts() == {KIND: EACH * PROCESSES}


def test_a_usable_sample_ends_a_row_of_others(tmp_path: Path) -> None:
    (tmp_path / 'bomb.png').write_bytes(bomb())
    guarded = GuardedPipeline(SimpleNamespace(transforms=[]), test_mode=False, counter=FaultCounter())
    samples = [{'img_path': str(tmp_path / 'bomb.png')}] * (IN_A_ROW - 1)
    for sample in [*samples, {}, *samples]:
        assert guarded(sample) == (None if sample else {})
    with pytest.raises(DataError, match=f'{IN_A_ROW} samples in a row'):
        guarded(samples[0])


@pytest.mark.nightly
def test_workers_tell_once_together(project: Project, tmp_path: Path) -> None:
    """Every worker, and every epoch's new workers, count on one list."""
    cfg = project('mmdet')
    train_alone(cfg)
    cfg.train_dataloader.num_workers = 2
    for name in ('b.jpg', 'south/a.jpg'):
        (tmp_path / 'data/images' / name).write_bytes(bomb())
    run_train(cfg)
    lines = told(cfg.work_dir)
    assert len(lines) == 2, lines
    assert re.search(r'met, each time they came up: ([4-9]|\d\d) x too large image', lines[1])


@pytest.mark.nightly
@pytest.mark.parametrize('workers', [0, 2])
def test_a_data_set_of_damaged_images_stops_in_one_line(
    workers: int,
    project: Project,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project('mmdet')
    for path in (tmp_path / 'data/images').rglob('*.*'):
        path.write_bytes(b'hello')
    no_validation = [f'val_{part}=None' for part in ('dataloader', 'evaluator', 'cfg')]
    options = ['--cfg-options', f'train_dataloader.num_workers={workers}', *no_validation]
    assert in_process('train.py', 'tiny_mmdet.py', *options, monkeypatch=monkeypatch) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error: ')]
    assert line.startswith(f'error: {IN_A_ROW} samples in a row could not be used, the last: sample ')
    assert 'unreadable image' in line
    assert line.endswith('tools/check_data.py CONFIG lists all such files')


def test_a_test_stops_at_what_no_header_told(project: Project, tmp_path: Path) -> None:
    """An image damaged in its middle: one line names it."""
    cfg = project('mmdet')
    checkpoint = run_train(cfg)
    path = tmp_path / 'data' / FIRST
    data = path.read_bytes()
    path.write_bytes(data[:200] + b'\xff\xd9' * 20)
    cfg.test_dataloader.num_workers = 1
    with pytest.raises(DataError, match=r'^sample 0 .*a.jpg, image 0.*unreadable image') as caught:
        run_test(cfg, checkpoint)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(('at', 'step'), [(2, 'FailingStep'), (0, 'LoadImageBadly')])
def test_a_bug_in_a_step_of_the_users_own_shows_its_traceback_and_the_sample(
    at: int, step: str, project: Project, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cfg = project('mmdet')
    cfg.train_dataloader.dataset.pipeline.insert(at, {'type': step})
    with pytest.raises((ZeroDivisionError, KeyError)) as caught:
        run_train(cfg)
    assert (caught.traceback[-1].path, caught.traceback[-1].name) == (Path(__file__), '__call__')
    said = ''.join(capfd.readouterr())
    assert re.search(rf'data: sample \d \(.*/images/.*, image \d\): {step} failed', said)


def test_checks_can_be_switched_off(project: Project, tmp_path: Path) -> None:
    cfg = project('mmdet')
    FAULTS['NaN box'].spoil(tmp_path / 'data')
    FAULTS['grey image'].spoil(tmp_path / 'data')
    cfg.data_check = False
    run_train(cfg)
    assert told(cfg.work_dir) == []


def test_validation_data_are_checked_too(project: Project, tmp_path: Path) -> None:
    cfg = project('mmdet')
    content = json.loads((tmp_path / 'data/people.json').read_text())
    content['annotations'][0]['bbox'] = [float('inf'), 0, 1, 1]
    (tmp_path / 'data/other.json').write_text(json.dumps(content))
    cfg.val_dataloader.dataset.ann_file = 'other.json'
    cfg.val_evaluator.ann_file = str(tmp_path / 'data/other.json')
    with pytest.raises(ConfigError, match=r'val_dataloader.dataset = .*other.json.*annotation 1: no finite'):
        run_train(cfg)
