"""What starts a job: srun's environment, torchrun itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from jobs import TESTS, free_port, slurm_place, tool
from mmengine.config import Config
from small_runs import write_project

from hrnet_mm.config.errors import ConfigError
from hrnet_mm.training.processes import start_group, take_over_slurm

PATIENCE = 300


@pytest.fixture(scope='module')
def place(packages: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('launched')
    write_project(folder, 'segmentation')
    return folder


@pytest.mark.nightly
def test_srun_trains_with_a_notice_of_norms(place: Path) -> None:
    """SyncBN, not frozen, would raise on a CPU."""
    norm = ('model.backbone.norm_cfg.type=SyncBN', 'model.backbone.norm_cfg.requires_grad=True')
    command = ('segmentation.py', '--launcher', 'slurm', '--work-dir', 'slurm')
    options = ('--cfg-options', 'train_cfg.max_iters=6', *norm)
    port = free_port()
    trials = [
        tool(
            'train.py', *command, *options, place=slurm_place(rank, port), at=place, log=place / f'srun{rank}'
        )
        for rank in range(2)
    ]
    logs = [trial.finish() for trial in trials]
    assert all(log.endswith('exit code 0\n') for log in logs), logs
    assert (place / 'slurm' / 'iter_6.pth').is_file()
    assert [log.count('last checkpoint: ') for log in logs] == [1, 0]
    assert [log.count('SyncBN layers become ordinary batch norm') for log in logs] == [1, 0]


@pytest.mark.nightly
def test_torchrun_ends_when_a_process_is_killed(place: Path) -> None:
    command = [
        sys.executable,
        '-m',
        'torch.distributed.run',
        '--standalone',
        '--nproc-per-node',
        '2',
        str(TESTS.parent / 'tools' / 'train.py'),
        'segmentation.py',
        '--launcher',
        'pytorch',
        '--work-dir',
        'torchrun',
        '--cfg-options',
        'train_cfg.max_iters=100000',
        'custom_hooks=[]',
        'train_cfg.val_interval=100000',
    ]
    log = place / 'torchrun.log'
    with log.open('w') as output:
        job = subprocess.Popen(command, cwd=place, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait(lambda: (place / 'torchrun' / 'last_checkpoint').exists() or job.poll() is not None)
        os.kill(_process_of(job.pid, rank=1), signal.SIGKILL)
        assert job.wait(PATIENCE) != 0
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


def _wait(condition: object) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.1)


def test_srun_on_several_nodes_needs_to_know_the_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT'):
        monkeypatch.setenv(name, 'old')  # so that it is put back
        monkeypatch.delenv(name)
    for name, value in slurm_place(1, 0).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv('MASTER_PORT')
    monkeypatch.setenv('SLURM_NODELIST', 'node[3-4]')
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(
        ConfigError, match=r'MASTER_ADDR = None: expected .* node\[3-4\]; there is no scontrol'
    ):
        take_over_slurm()
    scontrol = tmp_path / 'scontrol'
    scontrol.write_text('#!/bin/sh\n[ "$*" = "show hostnames node[3-4]" ] && echo node3 && echo node4\n')
    scontrol.chmod(0o755)
    take_over_slurm()
    names = ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT')
    assert [os.environ[name] for name in names] == ['1', '2', '1', 'node3', '29500']
    take_over_slurm(port=1234)
    assert os.environ['MASTER_PORT'] == '1234'


@pytest.mark.parametrize('timeout', [0, -1, '30', True, None])
def test_a_timeout_that_is_none_is_refused(timeout: object) -> None:
    cfg = Config(dict(launcher='pytorch', env_cfg=dict(dist_cfg=dict(backend='nccl', timeout=timeout))))
    with pytest.raises(ConfigError, match=r'^env_cfg.dist_cfg.timeout = .*: expected a number of seconds'):
        start_group(cfg)


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('LOCAL_RANK', '2')
    monkeypatch.setattr('hrnet_mm.training.processes.get_device', lambda: 'cuda')
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    monkeypatch.setattr('torch.cuda.device_count', lambda: 2)
    with pytest.raises(ConfigError, match=r'^LOCAL_RANK = 2: expected one process per GPU, .* has 2$'):
        start_group(Config(dict(launcher='pytorch')))


def test_on_gpus_the_group_is_mmengines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to the call that needs GPUs."""
    calls = []
    monkeypatch.setattr('hrnet_mm.training.processes.get_device', lambda: 'cuda')
    monkeypatch.setattr('hrnet_mm.training.processes.init_dist', lambda *a, **k: calls.append((a, k)))
    dist_cfg = dict(backend='nccl', timeout=60)
    cfg = Config(
        dict(launcher='pytorch', env_cfg=dict(mp_cfg=dict(mp_start_method='fork'), dist_cfg=dist_cfg))
    )
    start_group(cfg)
    assert calls == [(('pytorch',), dist_cfg)]
