"""Missing data are found before training, and ``--data-root`` finds them elsewhere."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from refusal import refuses

from hrnet_mm.config import check_data, load_config, reroot
from hrnet_mm.training.run import run_test, run_train

pytestmark = pytest.mark.usefixtures('own_folder')

Project = Callable[[str], Path]


@pytest.mark.parametrize('scope', ['mmpose', 'mmpretrain'])
def test_missing_data_folder(scope: str, project: Project, tmp_path: Path) -> None:
    config = project(scope)
    (tmp_path / 'data').rename(tmp_path / 'elsewhere')
    calls: dict[str, Callable[[Config], object]] = {
        'train': run_train,
        'test': lambda cfg: run_test(cfg, 'https://x/y.pth'),
    }
    for stage, run in calls.items():
        key = f'{stage}_dataloader.dataset.data_root'
        looked = f'looked for {tmp_path}/data'
        parts = (f"{key} = '{tmp_path}/data", looked, f'--cfg-options {key}=PATH', '--data-root DIR')
        refuses(lambda run=run: run(load_config(config)), *parts)  # type: ignore[misc]
    options = {'train_cfg.max_epochs': 1}
    checkpoint = run_train(load_config(config, data_root=tmp_path / 'elsewhere', options=options))
    assert run_test(load_config(config, data_root='elsewhere'), checkpoint)


@pytest.mark.parametrize(
    ('scope', 'gone', 'key', 'value'),
    [
        ('mmseg', 'masks', 'dataset.data_prefix.seg_map_path', 'masks'),
        ('mmdet', 'people.json', 'dataset.ann_file', 'people.json'),
        ('mmpose', 'images', 'dataset.data_prefix.img', 'images/'),
    ],
)
def test_missing_part_of_the_data(
    scope: str, gone: str, key: str, value: str, project: Project, tmp_path: Path
) -> None:
    config = project(scope)
    target = tmp_path / 'data' / gone
    target.unlink() if target.is_file() else shutil.rmtree(target)
    refuses(
        lambda: run_train(load_config(config)),
        f'train_dataloader.{key} = {value!r}',
        f'looked for {target}',
        f'--cfg-options train_dataloader.{key}=PATH or train_dataloader.dataset.data_root=DIR',
        'more missing',
    )


@pytest.mark.parametrize(
    ('section', 'key'),
    [
        ({'type': 'ConcatDataset', 'datasets': ['@', '@']}, 'dataset.datasets.0'),
        (
            {'type': 'RepeatDataset', 'dataset': {'type': 'R', 'dataset': '@'}},
            'dataset.dataset.dataset',
        ),
    ],
)
def test_wrapped_data_sets_are_looked_into(
    section: dict[str, Any], key: str, project: Project, tmp_path: Path
) -> None:
    cfg = load_config(project('mmdet'))
    inner = json.dumps(cfg.train_dataloader.dataset.to_dict())
    cfg.train_dataloader.dataset = json.loads(json.dumps(section).replace('"@"', inner))
    (tmp_path / 'data/people.json').unlink()
    refuses(lambda: run_train(cfg), f"train_dataloader.{key}.ann_file = 'people.json'")


def test_missing_files_of_evaluators_and_detectors(project: Project) -> None:
    cfg = load_config(project('mmdet'))
    cfg.test_evaluator.ann_file = 'gone.json'
    for evaluator, key in ((cfg.test_evaluator, ''), ([cfg.test_evaluator], '.0')):
        cfg.test_evaluator = evaluator
        key = f'test_evaluator{key}.ann_file'
        option = f'--cfg-options {key}=PATH, or move all'
        refuses(lambda: check_data(cfg, command='test'), f"{key} = 'gone.json'", option)
    cfg = load_config(project('mmpose'), options={'test_dataloader.dataset.bbox_file': 'gone'})
    refuses(lambda: check_data(cfg, command='test'), "test_dataloader.dataset.bbox_file = 'gone'")


@pytest.mark.parametrize(
    ('dataset', 'missing'),
    [
        ({'type': 'CIFAR10', 'data_root': 'no'}, None),  # fetches itself
        ({'type': 'CIFAR10', 'data_root': 'no', 'download': False}, 'data_root'),
        ({'type': 'ImageNet', 'data_root': 'imagenet', 'split': 'val'}, None),
        ({'type': 'ImageNet', 'data_root': 'imagenet', 'split': 'train'}, 'split'),
        ({'data_root': 's3://bucket', 'ann_file': 'x.json'}, None),
        ({'data_root': 'no', 'backend_args': {'backend': 'petrel'}}, None),
        ({'ann_file': '/no/x.json', 'data_root': 'imagenet'}, 'ann_file'),
        ({'data_prefix': 'no', 'data_root': 'imagenet'}, 'data_prefix'),
        ({'data_prefix': {'img': None, 'depth': ''}, 'ann_file': ''}, None),
    ],
)
def test_what_counts_as_missing(dataset: dict[str, Any], missing: str | None) -> None:
    Path('imagenet/val').mkdir(parents=True)
    cfg = Config({'test_dataloader': {'dataset': dataset}})
    if missing is None:
        check_data(cfg, command='test')
    else:
        refuses(lambda: check_data(cfg, command='test'), f'test_dataloader.dataset.{missing} = ')


def test_validation_data_are_not_looked_for_in_a_test(project: Project) -> None:
    cfg = load_config(project('mmdet'))
    cfg.val_dataloader.dataset.data_root = 'gone'
    refuses(lambda: check_data(cfg, command='train'), "val_dataloader.dataset.data_root = 'gone'")
    check_data(cfg, command='test')


# --- --data-root


@pytest.mark.parametrize('root', ['data/coco', 'data/coco/'])
def test_reroot(root: str) -> None:
    dataset = {'data_root': root, 'ann_file': 'a.json', 'data_prefix': {'img': 'val/'}}
    cfg = Config(
        {
            'data_root': root,
            'train_dataloader': {'dataset': {'type': 'Concat', 'datasets': [dataset, dataset]}},
            'test_dataloader': {'dataset': {**dataset, 'bbox_file': 'data/coco/boxes.json'}},
            'test_evaluator': [{'ann_file': 'data/coco/a.json'}, {'ann_file': 'data/coco2/b'}],
            'other': 'data/coco/x',
        }
    )
    reroot(cfg, '/new/')
    slash = '/' if root.endswith('/') else ''
    for dataset in cfg.train_dataloader.dataset.datasets:
        assert dataset.data_root == f'/new{slash}'
        assert (dataset.ann_file, dataset.data_prefix.img) == ('a.json', 'val/')
    assert cfg.test_dataloader.dataset.bbox_file == '/new/boxes.json'
    assert [metric.ann_file for metric in cfg.test_evaluator] == ['/new/a.json', 'data/coco2/b']
    assert (cfg.data_root, cfg.other) == ('/new/', 'data/coco/x')


def test_reroot_without_a_top_level_data_root() -> None:
    """As in mmpretrain's ImageNet and CIFAR configs."""
    folders = {'train': 'data/cifar10', 'val': 'data/cifar10/'}
    cfg = Config({f'{stage}_dataloader': {'dataset': {'data_root': at}} for stage, at in folders.items()})
    reroot(cfg, 'mine')
    assert cfg.train_dataloader.dataset.data_root == 'mine'
    assert cfg.val_dataloader.dataset.data_root == 'mine/'


def test_reroot_of_several_or_no_folders() -> None:
    cfg = Config({f'{s}_dataloader': {'dataset': {'data_root': s}} for s in ('train', 'val')})
    refuses(lambda: reroot(cfg, 'x'), "--data-root = 'x'", "['train', 'val']")
    cfg = Config({'data_root': 'a', 'test_dataloader': {'dataset': {'data_root': 'b'}}})
    refuses(lambda: reroot(cfg, 'x'), "--data-root = 'x'", "under its data_root 'a'")


SHIPPED = {
    'mmpose': 'body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-w32_8xb64-210e_coco-256x192.py',
    'mmseg': 'hrnet/fcn_hr18_4xb2-40k_cityscapes-512x1024.py',
    'mmdet': 'hrnet/faster-rcnn_hrnetv2p-w18-1x_coco.py',
    'mmpretrain': 'hrnet/hrnet-w18_4xb32_in1k.py',
}


@pytest.mark.parametrize('name', SHIPPED)
def test_reroot_of_shipped_configs(name: str) -> None:
    """No path into the old folder is left, and the first thing missed is in the new one."""
    cfg = load_config(f'{name}::{SHIPPED[name]}', data_root='/fresh')
    for part in ('train_dataloader', 'test_dataloader', 'val_evaluator', 'test_evaluator'):
        text = json.dumps(Config({'x': cfg[part]}).to_dict(), default=str)
        assert not re.search(r'"data/', text)
        assert '/fresh' in text or not re.search('ann_file|data_root', text)
    refuses(lambda: check_data(cfg, command='train'), 'train_dataloader.dataset', 'looked for /fresh')
