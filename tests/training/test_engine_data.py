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

from hrnet_mm.config import reroot
from hrnet_mm.config.load import load_config
from hrnet_mm.config.paths import check_data
from hrnet_mm.training.run import run_test, run_train

pytestmark = pytest.mark.usefixtures('own_folder')

Project = Callable[[str], Path]


@pytest.mark.parametrize('scope', ['mmpose', 'mmseg', 'mmdet', 'mmpretrain'])
def test_missing_data_folder(scope: str, project: Project, tmp_path: Path) -> None:
    config = project(scope)
    (tmp_path / 'data').rename(tmp_path / 'elsewhere')
    calls: list[tuple[str, Callable[[Config], object]]] = [
        ('train', run_train),
        ('test', lambda cfg: run_test(cfg, 'https://x/y.pth')),
    ]
    for stage, run in calls:
        key = f'{stage}_dataloader.dataset.data_root'
        refuses(
            lambda run=run: run(load_config(config)),  # type: ignore[misc]
            f"{key} = '{tmp_path}/data",
            f'looked for {tmp_path}/data',
            f'--cfg-options {key}=PATH',
            '--data-root DIR',
        )
    options = {'train_cfg.max_epochs': 1}
    checkpoint = run_train(load_config(config, data_root=tmp_path / 'elsewhere', options=options))
    assert run_test(load_config(config, data_root='elsewhere'), checkpoint)


@pytest.mark.parametrize(
    ('scope', 'gone', 'key', 'value'),
    [
        ('mmseg', 'masks', 'dataset.data_prefix.seg_map_path', 'masks'),
        ('mmseg', 'images', 'dataset.data_prefix.img_path', 'images'),
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
        ({'type': 'RepeatDataset', 'times': 2, 'dataset': '@'}, 'dataset.dataset'),
        ({'type': 'ConcatDataset', 'datasets': ['@', '@']}, 'dataset.datasets.0'),
        (
            {'type': 'MultiImageMixDataset', 'dataset': {'type': 'Repeat', 'dataset': '@'}},
            'dataset.dataset.dataset',
        ),
        ({'type': 'CombinedDataset', 'metainfo': {}, 'datasets': ['@']}, 'dataset.datasets.0'),
    ],
)
def test_wrapped_data_sets_are_looked_into(
    section: dict[str, Any], key: str, project: Project, tmp_path: Path
) -> None:
    cfg = load_config(project('mmdet'))
    inner = json.dumps(cfg.train_dataloader.dataset.to_dict())
    wrapped = json.loads(json.dumps(section).replace('"@"', inner))
    cfg.train_dataloader.dataset = wrapped
    (tmp_path / 'data/people.json').unlink()
    refuses(lambda: run_train(cfg), f"train_dataloader.{key}.ann_file = 'people.json'")


@pytest.mark.parametrize('as_list', [False, True])
def test_missing_annotation_file_of_an_evaluator(as_list: bool, project: Project) -> None:
    cfg = load_config(project('mmdet'))
    cfg.test_evaluator.ann_file = 'gone.json'
    if as_list:
        cfg.test_evaluator = [cfg.test_evaluator]
    key = 'test_evaluator.0.ann_file' if as_list else 'test_evaluator.ann_file'
    refuses(
        lambda: run_test(cfg, 'https://x/y.pth'),
        f"{key} = 'gone.json'",
        f'--cfg-options {key}=PATH',
    )


def test_missing_detections(project: Project) -> None:
    cfg = load_config(project('mmpose'), options={'test_dataloader.dataset.bbox_file': 'gone'})
    refuses(lambda: run_test(cfg, 'https://x/y.pth'), "test_dataloader.dataset.bbox_file = 'gone'")


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
    refuses(lambda: run_train(cfg), "val_dataloader.dataset.data_root = 'gone'")
    refuses(lambda: run_test(cfg, 'gone.pth'), 'checkpoint')


# --data-root


def coco_like(root: str) -> Config:
    dataset = {'data_root': root, 'ann_file': 'a.json', 'data_prefix': {'img': 'val/'}}
    return Config(
        {
            'data_root': root,
            'train_dataloader': {'dataset': {'type': 'Concat', 'datasets': [dataset, dataset]}},
            'test_dataloader': {'dataset': {**dataset, 'bbox_file': 'data/coco/boxes.json'}},
            'test_evaluator': [{'ann_file': 'data/coco/a.json'}, {'ann_file': 'data/coco2/b'}],
            'other': 'data/coco/x',
        }
    )


@pytest.mark.parametrize('root', ['data/coco', 'data/coco/'])
def test_reroot(root: str) -> None:
    cfg = coco_like(root)
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
    cfg = Config(
        {
            'train_dataloader': {'dataset': {'data_root': 'data/cifar10'}},
            'val_dataloader': {'dataset': {'data_root': 'data/cifar10/'}},
        }
    )
    reroot(cfg, 'mine')
    assert cfg.train_dataloader.dataset.data_root == 'mine'
    assert cfg.val_dataloader.dataset.data_root == 'mine/'


def test_reroot_of_several_or_no_folders() -> None:
    cfg = Config(
        {f'{s}_dataloader': {'dataset': {'data_root': s}} for s in ('train', 'val')},
    )
    refuses(lambda: reroot(cfg, 'x'), "--data-root = 'x'", "['train', 'val']")
    cfg = Config({'data_root': 'a', 'test_dataloader': {'dataset': {'data_root': 'b'}}})
    refuses(lambda: reroot(cfg, 'x'), "--data-root = 'x'", "under its data_root 'a'")


SHIPPED = {
    'mmpose': 'body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-w32_8xb64-210e_coco-256x192.py',
    'mmseg': 'hrnet/fcn_hr18_4xb2-40k_cityscapes-512x1024.py',
    'mmdet': 'hrnet/faster-rcnn_hrnetv2p-w18-1x_coco.py',
    'mmpretrain': 'hrnet/hrnet-w18_4xb32_in1k.py',
    'mmpretrain-cifar': 'resnet/resnet18_8xb16_cifar10.py',
}


@pytest.mark.parametrize('name', SHIPPED)
def test_reroot_of_shipped_configs(name: str) -> None:
    """No path into the old folder is left, and the first thing missed is in the new one."""
    pytest.importorskip(name.partition('-')[0])
    Path('child.py').write_text(f"_base_ = '{name.partition('-')[0]}::{SHIPPED[name]}'")
    cfg = load_config('child.py', data_root='/fresh')
    for part in ('train_dataloader', 'test_dataloader', 'val_evaluator', 'test_evaluator'):
        text = json.dumps(Config({'x': cfg[part]}).to_dict(), default=str)
        assert not re.search(r'"data/', text)
        assert '/fresh' in text or not re.search('ann_file|data_root', text)
    if name != 'mmpretrain-cifar':
        refuses(lambda: run_train(cfg), 'train_dataloader.dataset', 'looked for /fresh')
