"""What starts a job (torchrun itself), and SyncBN where nothing can be synchronised."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from children import in_child
from jobs import TESTS, free_port, torch_place, train_job
from mmengine.config import Config
from mmengine.logging import MMLogger
from refusal import refuses
from small_runs import write_project
from torch import distributed, nn

from hrnet_mm.training.processes import (
    CPUDistributedDataParallel,
    start_group,
)

HANGS = 300  # seconds after which a job is taken to hang
NOTICE = 'SyncBN layers become ordinary batch norm'


@pytest.fixture(scope='module')
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('launched')
    write_project(folder, 'segmentation')
    return folder


@pytest.mark.nightly
def test_two_processes_train_with_a_notice_of_norms(place: Path) -> None:
    """SyncBN, not frozen, would raise on a CPU."""
    norm = ('model.backbone.norm_cfg.type=SyncBN', 'model.backbone.norm_cfg.requires_grad=True')
    trials = train_job('segmentation.py', 'train_cfg.max_iters=6', *norm, name='norms', at=[place, place])
    logs = [trial.finish() for trial in trials]
    assert all(log.endswith('exit code 0\n') for log in logs), logs
    assert (place / 'norms' / 'iter_6.pth').is_file()
    assert [log.count('last checkpoint: ') for log in logs] == [1, 0]
    assert [log.count(NOTICE) for log in logs] == [1, 0]


@pytest.mark.nightly
def test_torchrun_ends_when_a_process_is_killed(place: Path) -> None:
    torchrun = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2']
    command = [str(TESTS.parent / 'tools' / 'train.py'), 'segmentation.py', '--launcher', 'pytorch']
    more = ['--work-dir', 'torchrun', '--cfg-options', 'train_cfg.max_iters=100000', 'custom_hooks=[]']
    log = place / 'torchrun.log'
    with log.open('w') as output:
        job = subprocess.Popen(
            [*torchrun, *command, *more, 'train_cfg.val_interval=100000'],
            cwd=place,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        end = time.monotonic() + HANGS
        while not (place / 'torchrun' / 'last_checkpoint').exists():
            assert job.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        os.kill(_process_of(job.pid, rank=1), signal.SIGKILL)
        assert job.wait(HANGS) != 0
    finally:
        job.kill()
        job.wait()
    text = log.read_text()
    said = [line for line in text.splitlines() if line.startswith('error: ')]
    assert len(said) == 1, text
    assert 'while training, in iteration ' in said[0] and '--resume continues from it' in said[0]
    assert 'Signal 9 (SIGKILL) received' in text  # torchrun's own summary


def _process_of(launcher: int, *, rank: int) -> int:
    children = Path(f'/proc/{launcher}/task/{launcher}/children').read_text().split()
    (found,) = (
        int(pid) for pid in children if f'\0RANK={rank}\0' in Path(f'/proc/{pid}/environ').read_text()
    )
    return found


def test_srun_without_gpus_is_refused() -> None:
    refuses(
        lambda: start_group(Config(dict(launcher='slurm'))), "--launcher = 'slurm'", 'srun starts torchrun'
    )


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('hrnet_mm.training.processes.get_device', lambda: 'cuda')
    monkeypatch.setenv('LOCAL_RANK', '2')
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    monkeypatch.setattr('torch.cuda.device_count', lambda: 2)
    cfg = Config(dict(launcher='pytorch', env_cfg=dict(dist_cfg=dict(backend='nccl'))))
    refuses(lambda: start_group(cfg), 'LOCAL_RANK = 2', 'one process per GPU, and this machine has 2')
    cfg.env_cfg.dist_cfg.timeout = '30'
    refuses(lambda: start_group(cfg), "env_cfg.dist_cfg.timeout = '30'", 'a number of seconds')


def _network(norm: type[nn.Module]) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 1), norm(4), nn.Sequential(nn.Conv2d(4, 2, 1), norm(2)))


def _fall_back() -> None:
    """In a group of one, which torch treats like any other: it asks for a GPU."""
    os.environ.update(torch_place(0, free_port()) | {'WORLD_SIZE': '1'})
    distributed.init_process_group('gloo')
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    MMLogger.get_current_instance().addHandler(handler)
    image, synchronised, ordinary = (
        torch.rand(2, 3, 8, 8),
        _network(nn.SyncBatchNorm),
        _network(nn.BatchNorm2d),
    )
    ordinary.load_state_dict(synchronised.state_dict())
    with pytest.raises(ValueError, match='GPU'):  # the day that torch can do it, let it
        synchronised(image)
    wrapper = CPUDistributedDataParallel(synchronised, device_ids=[0])
    assert torch.equal(wrapper(image), ordinary(image))
    assert list(wrapper.module.state_dict()) == list(ordinary.state_dict())
    CPUDistributedDataParallel(ordinary)
    (line,) = lines
    assert line.startswith(f'2 {NOTICE}')


def test_falls_back_in_a_group_without_gpus_with_one_notice() -> None:
    in_child(_fall_back, seconds=HANGS)
