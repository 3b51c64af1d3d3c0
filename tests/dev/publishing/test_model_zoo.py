"""The generated page, index and metafiles are those of the configs at hand."""

from __future__ import annotations

import re
from functools import cache

import own_configs
import pytest
import yaml
from modelindex.load_model_index import load as load_model_index
from publishing.figures import PACKAGE_SCORES, ROOT
from publishing.model_zoo import published_accuracy, zoo_entries
from publishing.weights import published_weights

import hrnet_mm  # noqa: F401  registers our models
from hrnet_mm.config.codebases import CODEBASES
from hrnet_mm.config.files import shipped_configs_folder
from hrnet_mm.config.load import load_config

CONFIGS = {path.name for path in own_configs.CONFIGS}
PAGE = (ROOT / 'docs' / 'model_zoo.md').read_text(encoding='utf-8')


def test_page_has_every_config_with_its_commands_once() -> None:
    assert sorted(re.findall(r'\]\(\.\./configs/([^)]+)\)', PAGE)) == sorted(CONFIGS)
    for command in ('train', 'test'):
        found = re.findall(rf'^mim {command} (\w+) configs/(\S+)', PAGE, flags=re.MULTILINE)
        assert sorted(config for _, config in found) == sorted(CONFIGS)
        assert {codebase for codebase, _ in found} == set(CODEBASES)


@pytest.mark.parametrize(
    ('config', 'scores'),
    [
        ('hrnetv1_w32_coco_256x192.py', 'AP 0.744, AP50 0.905'),
        ('hrnetv2_w48_cityscapes.py', 'mIoU (%) 80.9 (single scale, no flip)'),
        ('hrnetv2p_w18_cascade_mask_rcnn_coco_20e.py', 'box AP 41.9, mask AP 36.4'),
        ('hrnetv1_w32_ae_coco_512x512.py', 'AP 0.656'),
        ('hrnet_w18_small_v1_cifar10.py', None),
    ],
)
def test_accuracy_lands_on_its_config(config: str, scores: str | None) -> None:
    published = published_accuracy(config)
    assert published[0].startswith(scores) if published else scores is None


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


def test_package_scores_are_those_of_the_installed_metafiles() -> None:
    for row in PACKAGE_SCORES:
        found = metafile_scores(row.package)[row.model]
        assert {name: float(value) for name, value in row.scores.items()}.items() <= found.items()
        assert row.config in CONFIGS


@pytest.mark.nightly
def test_rows_are_what_the_configs_give() -> None:
    """Every sixth config counted anew, on the meta device; ``pages.py model_zoo --check`` counts all."""
    metafiles = ''.join(path.read_text(encoding='utf-8') for path in (ROOT / 'configs').glob('*.yml'))
    entries = zoo_entries([ROOT / 'configs' / name for name in sorted(CONFIGS)[::6]])
    assert {entry.codebase for entry in entries} == set(CODEBASES)
    for entry in entries:
        assert f'| {" | ".join(entry.cells())} |' in PAGE
        assert all(command in PAGE for command in entry.commands)
        assert f'Config: configs/{entry.config}\n' in metafiles
        assert f'Parameters: {entry.size.params}\n    MACs: {entry.size.macs}\n' in metafiles


@pytest.mark.nightly
@pytest.mark.parametrize(
    ('config', 'name'),
    [
        ('hrnet_w64_imagenet', 'mmpretrain::hrnet-w64_3rdparty_8xb32_in1k'),
        ('hrnet_w18_small_v1_cifar10', None),
        ('hrnetv2p_w40_cascade_rcnn_coco_20e', 'mmdet::cascade-rcnn_hrnetv2p-w40-20e_coco'),
        ('hrnetv2p_w32_centernet_update_coco_1x', None),
    ],
)
def test_weights_that_fit_are_found_by_building(config: str, name: str | None) -> None:
    """FCOS has the layers of CenterNet's update, which mean something else."""
    found = published_weights(load_config(ROOT / 'configs' / f'{config}.py'))
    assert (found.name if found else None) == name
    row = next(line for line in PAGE.splitlines() if f'({config}.py)' in line or f'/{config}.py)' in line)
    assert row.endswith(f'| {found or ""} |')


def test_modelindex_accepts_the_files() -> None:
    index = load_model_index(str(ROOT / 'model-index.yml'))
    index.check(silent=True)
    errors = [error for part in (index, *index.models) for error in part.check_errors]
    assert errors == []
    assert {model.config for model in index.models} == {f'configs/{name}' for name in CONFIGS}
