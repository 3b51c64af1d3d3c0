"""One data loader for several tasks on the same images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from joint_project import write_joint, write_tasks
from mmengine.config import Config
from refusal import refuses

from hrnet_mm.config.load import load_config
from hrnet_mm.multi_task import SharedImages
from hrnet_mm.training.run import run_train


@pytest.fixture(scope='module')
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Task -> its training data set, with random scales, crops, flips and colours."""
    configs = write_tasks(tmp_path_factory.mktemp('tasks'))
    found = {}
    for name, scope in (('pose', 'mmpose'), ('segmentation', 'mmseg'), ('detection', 'mmdet')):
        dataset = load_config(configs[name]).train_dataloader.dataset
        found[name] = {'_scope_': scope, **dataset.get('dataset', dataset).to_dict()}
    return found


def test_pipelines_are_drawn_alike(sets: dict[str, Any]) -> None:
    both = SharedImages({'one': sets['segmentation'], 'two': sets['segmentation']})
    images = [{name: sample['inputs'] for name, sample in both[index].items()} for index in (0, 0, 1)]
    assert all(torch.equal(each['one'], each['two']) for each in images)
    assert not torch.equal(images[0]['one'], images[1]['one'])  # the next draw is another


def test_refusals(sets: dict[str, Any]) -> None:
    refuses(lambda: SharedImages({'pose': sets['pose']}), 'dataset.datasets.pose', 'one sample an image')
    different = {'one': sets['segmentation'], 'two': sets['detection']}
    refuses(lambda: SharedImages(different), 'the same images', 'one: ', 'two: ')


def test_trains_with_one_pass_for_both(tmp_path: Path) -> None:
    cfg = load_config(write_joint(tmp_path, names=('segmentation',)), work_dir=tmp_path / 'work')
    task, loader = cfg.model.tasks.segmentation, cfg.train_dataloader.segmentation
    task.decode_head.dropout_ratio = 0
    dataset = {'_scope_': 'mmseg', **loader.dataset}
    cfg.model.tasks, cfg.model.shared_input = {'one': task, 'two': task}, True
    shared = {
        **loader,
        'dataset': dict(type='hrnet_mm.SharedImages', datasets={'one': dataset, 'two': dataset}),
    }
    sections = dict.fromkeys(('val_cfg', 'val_dataloader', 'val_evaluator'))
    sections |= dict.fromkeys(('test_cfg', 'test_dataloader', 'test_evaluator'))
    cfg = Config({**cfg.to_dict(), **sections, 'train_dataloader': shared}, filename=cfg.filename)
    state = torch.load(run_train(cfg), weights_only=False)['state_dict']
    assert int(state['backbone.bn1.num_batches_tracked']) == 6
