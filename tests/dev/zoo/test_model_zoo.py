"""The generated page, index and metafiles are those of the configs at hand."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import torch
import yaml
from mmengine.registry import DefaultScope
from modelindex.load_model_index import load as load_model_index
from zoo.entries import zoo_entries
from zoo.page import size_cells
from zoo.published import PACKAGE_SCORES, published_accuracy

import hrnet_mm  # noqa: F401  registers our models
from hrnet_mm.analysis.published import PUBLISHED_SCORES, PUBLISHED_SIZES
from hrnet_mm.config.codebases import CODEBASES
from hrnet_mm.config.files import shipped_configs_folder
from hrnet_mm.config.load import load_config

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = {path.name for path in (ROOT / 'configs').glob('*.py')}
PAGE = (ROOT / 'docs' / 'model_zoo.md').read_text(encoding='utf-8')


def test_page_links_every_config_once() -> None:
    assert sorted(re.findall(r'\]\(\.\./configs/([^)]+)\)', PAGE)) == sorted(CONFIGS)


@pytest.mark.parametrize('command', ['train', 'test'])
def test_page_has_a_command_for_every_config(command: str) -> None:
    found = re.findall(rf'^mim {command} (\w+) configs/(\S+)', PAGE, flags=re.MULTILINE)
    assert sorted(config for _, config in found) == sorted(CONFIGS)
    assert {codebase for codebase, _ in found} == set(CODEBASES)


def test_published_rows_name_configs_that_exist() -> None:
    named = [row.config for row in [*PUBLISHED_SIZES, *PUBLISHED_SCORES] if row.config and row.scores]
    assert len(named) == len(set(named)) and set(named) <= CONFIGS


@pytest.mark.parametrize(
    ('config', 'scores'),
    [
        ('hrnetv1_w32_coco_256x192.py', {'AP': '0.744'}),
        ('hrnetv2_w48_cityscapes.py', {'mIoU (%)': '80.9'}),
        ('hrnetv2_w48_ocr_ade20k.py', {'mIoU (%)': '44.5'}),
        ('hrnetv2p_w32_faster_rcnn_coco_2x.py', {'box AP': '40.8'}),
        ('hrnetv2p_w18_cascade_mask_rcnn_coco_20e.py', {'box AP': '41.9', 'mask AP': '36.4'}),
        ('hrnet_w48_imagenet.py', {'top-1 error (%)': '20.7'}),
    ],
)
def test_accuracy_lands_on_its_config(config: str, scores: dict[str, str]) -> None:
    published = published_accuracy(config)
    assert published is not None and scores.items() <= published.scores.items()


@cache
def metafile_scores(package: str) -> dict[str, dict[str, float]]:
    """Model -> metrics, of all HRNets in the metafiles that a package was installed with."""
    files = [p for p in shipped_configs_folder(package).rglob('*.y*ml') if 'hrnet' in p.read_text('utf-8')]
    models = [m for p in files for m in (yaml.safe_load(p.read_text('utf-8')) or {}).get('Models', [])]
    return {
        model['Name']: {k: v for result in model['Results'] for k, v in result['Metrics'].items()}
        for model in models
        if isinstance(model.get('Results'), list)
    }


@pytest.mark.parametrize('row', PACKAGE_SCORES, ids=lambda row: row.config)
def test_package_scores_are_those_of_the_installed_metafiles(row) -> None:
    found = metafile_scores(row.package)[row.model]
    assert {name: float(value) for name, value in row.scores.items()}.items() <= found.items()
    assert row.config in CONFIGS


def test_configs_without_a_published_accuracy_claim_none() -> None:
    assert published_accuracy('hrnet_w18_small_v1_cifar10.py') is None


@pytest.mark.slow
def test_rows_are_what_the_configs_give() -> None:
    """Every sixth config counted anew, on the meta device; ``tools/dev/model_zoo.py --check`` counts all."""
    metafiles = ''.join(path.read_text(encoding='utf-8') for path in (ROOT / 'configs').glob('*.yml'))
    entries = zoo_entries([ROOT / 'configs' / name for name in sorted(CONFIGS)[::6]])
    assert {entry.codebase for entry in entries} == set(CODEBASES)
    for entry in entries:
        assert f'| {" | ".join(size_cells(entry))} |' in PAGE
        assert entry.train_command in PAGE and entry.test_command in PAGE
        assert f'Config: configs/{entry.config}\n' in metafiles
        assert f'Parameters: {entry.size.params}\n    MACs: {entry.size.macs}\n' in metafiles


def test_a_row_counts_what_the_built_model_has() -> None:
    path = ROOT / 'configs' / 'hrnetv1_w32_mpii_256x256.py'
    (entry,) = zoo_entries([path])
    cfg = load_config(path)
    with DefaultScope.overwrite_default_scope('mmpose'), torch.device('meta'):
        from mmpose.registry import MODELS

        model = MODELS.build(cfg.model)
    assert entry.size.params == sum(p.numel() for p in model.parameters())
    assert (entry.codebase, entry.data, entry.shape) == ('mmpose', 'MPII', (256, 256))
    assert entry.checkpoint == 'epoch_210.pth'


def test_modelindex_accepts_the_files() -> None:
    index = load_model_index(str(ROOT / 'model-index.yml'))
    index.check(silent=True)
    errors = [error for part in (index, *index.models) for error in part.check_errors]
    assert errors == []
    assert {model.config for model in index.models} == {f'configs/{name}' for name in CONFIGS}
