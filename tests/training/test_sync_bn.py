"""SyncBN in a config, where nothing can be synchronised."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from children import in_child
from jobs import free_port, torch_place
from mmengine.config import Config
from mmengine.logging import MMLogger
from small_runs import write_project
from torch import distributed, nn

from hrnet_mm.checkpoints import load_file
from hrnet_mm.config.load import load_config
from hrnet_mm.training.processes import CPUDistributedDataParallel, wrap_for_cpu
from hrnet_mm.training.run import run_train

NOTICE = 'SyncBN layers become ordinary batch norm'
MMENGINES_NOTICE = 'SyncBatchNorm (SyncBN) layers in the model will be automatically reverted'


def _network(norm: type[nn.Module]) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 1), norm(4), nn.Sequential(nn.Conv2d(4, 2, 1), norm(2)))


def _wrapped() -> dict[str, Any]:
    """In a group of one, which torch treats like any other: it asks for a GPU."""
    os.environ.update(torch_place(0, free_port()) | {'WORLD_SIZE': '1'})
    distributed.init_process_group('gloo')
    image = torch.rand(2, 3, 8, 8)
    refusal = ''
    try:
        _network(nn.SyncBatchNorm)(image)
    except ValueError as error:
        refusal = str(error)
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    MMLogger.get_current_instance().addHandler(handler)
    synchronised, ordinary = _network(nn.SyncBatchNorm), _network(nn.BatchNorm2d)
    ordinary.load_state_dict(synchronised.state_dict())
    keys = list(synchronised.state_dict())
    wrapper = CPUDistributedDataParallel(synchronised, device_ids=[0])
    same = torch.equal(wrapper(image), ordinary(image))
    CPUDistributedDataParallel(ordinary)
    return {
        'refusal': refusal,
        'same': same,
        'keys': list(wrapper.module.state_dict()) == keys,
        'left': sum(isinstance(m, nn.SyncBatchNorm) for m in wrapper.modules()),
        'lines': lines,
    }


def test_falls_back_in_a_group_without_gpus_with_one_notice() -> None:
    found = in_child(_wrapped, seconds=60)
    assert 'GPU' in found['refusal'], 'torch can do it by now: let it'
    assert (found['same'], found['keys'], found['left']) == (True, True, 0)
    (line,) = found['lines']
    assert line.startswith(f'2 {NOTICE}')


def test_falls_back_in_a_process_alone_with_one_notice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_project(tmp_path, 'segmentation')
    monkeypatch.chdir(tmp_path)
    options = {
        'model.backbone.norm_cfg': dict(type='SyncBN', requires_grad=True),
        'model.neck.norm_cfg': dict(type='SyncBN'),
        'train_cfg.max_iters': 1,
        'train_cfg.val_interval': 10,
        'log_level': 'INFO',
    }
    last = run_train(load_config(config, work_dir='work', options=options))
    (log,) = (tmp_path / 'work').glob('*/*.log')
    text = log.read_text()
    assert text.count(MMENGINES_NOTICE) == 1
    assert NOTICE not in text
    plain = load_config(
        config, work_dir='plain', options={'train_cfg.max_iters': 1, 'train_cfg.val_interval': 10}
    )
    with_bn = run_train(plain)
    weights = [load_file(path)['state_dict'] for path in (last, with_bn)]
    assert list(weights[0]) == list(weights[1])
    assert all(torch.equal(one, other) for one, other in zip(*map(dict.values, weights), strict=True))


def test_wrappers_of_configs() -> None:
    cases: list[tuple[dict[str, Any], dict[str, Any] | None]] = [
        (dict(), None),
        (
            dict(launcher='none', model_wrapper_cfg=dict(find_unused_parameters=True)),
            dict(find_unused_parameters=True),
        ),
        (
            dict(launcher='pytorch', find_unused_parameters=True),
            dict(
                type='hrnet_mm.CPUDistributedDataParallel',
                broadcast_buffers=False,
                find_unused_parameters=True,
                device_ids=None,
            ),
        ),
        (
            dict(launcher='slurm', model_wrapper_cfg=dict(type='MMSeparateDistributedDataParallel')),
            dict(type='MMSeparateDistributedDataParallel', device_ids=None),
        ),
    ]
    for given, expected in cases:
        cfg = Config(given)
        wrap_for_cpu(cfg)
        assert cfg.get('model_wrapper_cfg') == expected


def test_gpus_keep_mmengines_wrapper_and_their_norms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('hrnet_mm.training.processes.get_device', lambda: 'cuda')
    cfg = Config(dict(launcher='pytorch'))
    wrap_for_cpu(cfg)
    assert cfg.get('model_wrapper_cfg') is None
