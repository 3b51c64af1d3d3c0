"""Every kind of head on every kind of data in the zoo: one training iteration, one evaluation."""

from __future__ import annotations

import copy
import math
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from layouts import cifar10_checksums
from mmengine.config import Config
from own_configs import CONFIGS, JOINT_CONFIGS, read_config
from shrink import SMALL, shrink

from hrnet_mm.checkpoints import load_file
from hrnet_mm.config.joint import task_configs
from hrnet_mm.config.paths import check_data, iter_datasets, iter_metrics, type_name
from hrnet_mm.training.run import run_test, run_train
from hrnet_mm.utils import iter_dicts

#: Kinds of head on kinds of data, as ``groups`` finds them: no new one goes untested.
GROUPS = 31
#: Parts of a model that differ in width from config to config and not in kind, or that do not compute.
NOT_PARTS = {'backbone', 'data_preprocessor', 'train_cfg', 'test_cfg', 'init_cfg'}
#: Types inside of parts that make another computation of the same head.
PARTS = ('head', 'heads', 'neck', 'decoder', 'sampler', 'roi_extractor')


class Group(NamedTuple):
    """What one run stands for; `streams` is 1 where the config asks for the finest stream alone."""

    model: str
    parts: frozenset[str]
    streams: int
    data: frozenset[str]


def group_of(cfg: Config) -> Group:
    """The group of a config."""
    parts = set()
    for path, node in iter_dicts(cfg.model.to_dict()):
        keys = [key for key in path.split('.') if not key.isdigit()]
        if 'type' in node and keys[-1].endswith(PARTS) and not NOT_PARTS & set(keys):
            parts.add(type_name(node['type']))
    stages = ('train', 'val', 'test')
    data = (*iter_datasets(cfg, stages=stages), *iter_metrics(cfg, stages=stages))
    return Group(
        f'{cfg.default_scope}.{type_name(cfg.model.type)}',
        frozenset(parts),
        1 if cfg.model.backbone.get('multiscale_output') is False else 4,
        frozenset(type_name(item['type']) for _, item in data),
    )


@cache
def groups() -> list[Config]:
    """The first config of each group."""
    found: dict[Group, Config] = {}
    for path in CONFIGS:
        found.setdefault(group_of(read_config(path)), read_config(path))
    return list(found.values())


@pytest.fixture
def at_work(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in the workplace; CIFAR-10's drawn files pass for its own."""
    from mmpretrain.datasets import CIFAR10

    monkeypatch.chdir(workplace)
    for name, value in cifar10_checksums(workplace / 'data' / 'cifar10').items():
        monkeypatch.setattr(CIFAR10, name, value)


@pytest.mark.usefixtures('at_work')
def test_every_config_finds_its_data() -> None:
    for path in CONFIGS:
        for command in ('train', 'test'):
            check_data(read_config(path), command=command)


@pytest.mark.nightly
@pytest.mark.usefixtures('at_work')
@pytest.mark.parametrize('number', range(GROUPS))
def test_one_config_of_each_group_trains_and_evaluates(number: int, tmp_path: Path) -> None:
    assert len(groups()) == GROUPS
    cfg = shrink(groups()[number])
    print(cfg.filename)
    cfg.work_dir = str(tmp_path)
    checkpoint = run_train(cfg)
    saved = load_file(checkpoint)
    losses, _ = saved['message_hub']['log_scalars']['train/loss'].data
    assert len(losses) and all(math.isfinite(loss) for loss in losses)
    metrics = run_test(cfg, checkpoint)
    assert metrics
    first_of_scope = next(each for each in groups() if each.default_scope == cfg.default_scope)
    if cfg.filename == first_of_scope.filename:  # once for each codebase in the inference form too
        assert run_test(cfg, checkpoint, fast=True) == pytest.approx(metrics, rel=1e-2, abs=0.1, nan_ok=True)
    checkpoint.unlink()  # the folder outlives the test


@pytest.mark.nightly
@pytest.mark.usefixtures('at_work')
def test_a_joint_config_of_real_data_trains_and_evaluates(tmp_path: Path) -> None:
    """Each task's part small, as in a config of its own."""
    cfg = copy.deepcopy(read_config(next(path for path in JOINT_CONFIGS if 'synthetic' not in path.stem)))
    for name, view in task_configs(cfg).items():
        small = shrink(view)
        kept = {
            key: value for key, value in cfg.model.tasks[name].items() if key in ('_scope_', 'out_indices')
        }
        cfg.model.tasks[name] = {**small.model, **kept}
        cfg.model.tasks[name].pop('backbone')
        for section in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
            cfg[section][name] = small[section]
    cfg.model.backbone.update(arch=SMALL, init_cfg=None)
    cfg.train_cfg.update(max_iters=1, val_begin=1000)
    cfg.work_dir = str(tmp_path)
    metrics = run_test(cfg, run_train(cfg))
    assert {*cfg.val_cfg.mean, 'mean'} <= metrics.keys()
