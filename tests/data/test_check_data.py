"""``tools/check_data.py`` finds every fault, with file, id and reason, and nothing in sound data."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from data_faults import FAULTS, Fault
from mmengine.config import Config
from own_configs import read_config
from tool_runs import in_process

from hrnet_mm.config import reroot
from hrnet_mm.data.check import check_datasets
from hrnet_mm.data.findings import KINDS
from hrnet_mm.data.sources import DataSource
from hrnet_mm.demo.dataset import generate

#: Kinds that ``test_what_people_bring`` tests.
ELSEWHERE = {
    'incomplete for the metric',
    'annotation id 0',
    'area 0',
    'boxes by their corners',
    'another file than the metric',
    'fewer images than the metric',
    'keypoints as fractions',
    'wrong visibility',
    'label of no class',
    'unusable detections',
    'malformed segmentation',
    'binary label maps',
    'label maps from 1',
    'class without a pixel',
    'images of other suffixes',
}
Project = Callable[[str], Config]
ROOT = Path(__file__).resolve().parents[2]
SYNTHETIC = {
    'hrnetv1_w18_small_v1_synthetic_192x144.py': ('coco', 2),
    'hrnetv2_w18_small_v1_synthetic.py': ('cityscapes', 0),
    'hrnetv2p_w18_small_v1_faster_rcnn_synthetic.py': ('coco', 0),
}


def require_found(fault: Fault, root: Path, findings: list) -> None:
    """Exactly one finding of the fault's kind, with all that it has to say."""
    assert len(findings) == 1, findings
    (found,) = findings
    assert found.file == str(root / fault.file)
    assert found.item.replace(f'{root}/', '') == fault.item
    assert fault.reason in found.reason


def counted(cfg: Config) -> dict[str, int]:
    """Findings of each kind in training data, but for the PNG that the tiny label maps' JPEGs leave out."""
    counts = dict(check_datasets(cfg, split='train', progress=False).counts)
    counts.pop('images of other suffixes', None)
    return counts


@pytest.mark.parametrize('name', FAULTS)
def test_a_fault_is_found(name: str, project: Project, tmp_path: Path) -> None:
    fault = FAULTS[name]
    cfg = project(fault.scope)
    assert counted(cfg) == {}
    fault.spoil(tmp_path / 'data')
    report = check_datasets(cfg, split='train', progress=False)
    require_found(fault, tmp_path / 'data', report.findings.get(fault.kind, []))
    assert report.is_damaged == KINDS[fault.kind].severity.is_damage
    assert any(fault.kind in line for line in report.lines())


def test_every_kind_has_a_fault() -> None:
    """But for those that take more than one change to tiny data: below, and in ``test_what_people_bring``."""
    untested = set(KINDS) - {fault.kind for fault in FAULTS.values()}
    assert untested == {
        'classes in another order',
        'no segmentation',
        'class without annotation',
        *ELSEWHERE,
    }


def test_labels_and_names_have_to_meet(project: Project, tmp_path: Path) -> None:
    """mmdet numbers labels in the file's order, whatever the order of the names in the config."""
    cfg = project('mmdet')
    people = tmp_path / 'data/people.json'
    content = json.loads(people.read_text())
    content['categories'].append({'id': 2, 'name': 'car'})
    content['annotations'][0]['category_id'] = 2
    people.write_text(json.dumps(content))
    for names, kinds in (
        (('person', 'car'), {}),
        (('car', 'person'), {'classes in another order': 1}),
        (('person', 'bus', 'car'), {'class not in the file': 1}),
        (('person', 'car', 'bus'), {'class not in the file': 1}),
    ):
        cfg.train_dataloader.dataset.metainfo = dict(classes=names)
        assert dict(check_datasets(cfg, split='train', progress=False).counts) == kinds


def test_empty_segmentations_matter_to_masks_alone(project: Project) -> None:
    cfg = project('mmdet')
    cfg.train_dataloader.dataset.pipeline[1]['with_mask'] = True
    counts = check_datasets(cfg, split='train', progress=False).counts
    assert counts['no segmentation'] == 5  # tiny people have boxes alone


def test_ids_are_judged_as_the_loader_maps_them(project: Project, tmp_path: Path) -> None:
    """With ``reduce_zero_label`` id 2 is the second of two classes, and 0 is ignored."""
    cfg = project('mmseg')
    for path in (tmp_path / 'data/masks').rglob('*.png'):
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_UNCHANGED) + 1)  # ids 1 and 2
    assert counted(cfg) == {'unexpected class id': 3, 'label maps from 1': 1}
    cfg.train_dataloader.dataset.reduce_zero_label = True
    assert counted(cfg) == {}
    FAULTS['unexpected class id'].spoil(tmp_path / 'data')  # ids 8 and 9
    assert counted(cfg) == {'unexpected class id': 1}


@pytest.fixture(scope='module')
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('drawn')
    generate(root, train=6, val=3, size=(96, 160), progress=False)
    return root


@pytest.mark.parametrize('name', SYNTHETIC)
def test_sound_data_give_nothing(name: str, drawn: Path) -> None:
    """But that some drawn people have no labelled keypoints, some images no people, streets few classes."""
    cfg = copy.deepcopy(read_config(ROOT / 'configs' / name))
    reroot(cfg, str(drawn / SYNTHETIC[name][0]))
    report = check_datasets(cfg, progress=False)
    assert report.images == 9
    worth_knowing = {
        'no keypoints',
        'image without annotation',
        'class without annotation',
        'class without a pixel',
    }
    assert set(report.counts) <= worth_knowing, list(report.lines())
    assert not report.is_damaged


def test_what_reads_another_format_is_not_judged_as_coco(project: Project, tmp_path: Path) -> None:
    """mmpose's MPII shares COCO's parser, but not its file, which is a list."""
    project('mmpose')
    section = {'type': 'mmpose.MpiiDataset', 'data_root': 'data/', 'ann_file': 'people.json'}
    assert DataSource('train_dataloader.dataset', section).coco_rules() is None
    coco = DataSource('train_dataloader.dataset', {**section, 'type': 'mmpose.CocoDataset'})
    assert coco.coco_rules() is not None


def test_workers_find_the_same(project: Project, tmp_path: Path) -> None:
    cfg = project('mmdet')
    for name in ('truncated JPEG', 'NaN box', 'unknown image'):
        FAULTS[name].spoil(tmp_path / 'data')
    alone, together = (
        check_datasets(cfg, split='train', workers=workers, progress=False).as_dict() for workers in (0, 2)
    )
    assert alone == together
    assert alone['counts']


def test_the_tool(
    project: Project,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project('mmdet')
    arguments = ['tiny_mmdet.py', '--split', 'all', '--workers', 0, '--json', 'out/found.json']
    assert in_process('check_data.py', *arguments, monkeypatch=monkeypatch) == 0
    assert 'checked 4 images, 5 annotations: nothing found' in capsys.readouterr().out
    for name in ('NaN box', 'grey image'):
        FAULTS[name].spoil(tmp_path / 'data')
    assert in_process('check_data.py', *arguments, monkeypatch=monkeypatch) == 1
    output = capsys.readouterr()
    lines = output.out.splitlines()
    assert lines[0] == 'no finite number: 1 (stops the run at its start)'
    assert lines[1].startswith(f'  {tmp_path}/data/people.json, annotation 1: bbox is [nan')
    assert lines[-1] == 'checked 4 images, 5 annotations: 1 no finite number, 1 grey image'
    assert '4/4' in output.err  # the bar
    written = json.loads((tmp_path / 'out/found.json').read_text())
    assert written['findings'][0]['item'] == 'annotation 1'


def test_the_limit_can_be_raised(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 96 * 64 - 1)
    cfg = project('mmdet')
    assert check_datasets(cfg, split='train', progress=False).counts == {'too large image': 4}
    arguments = ['tiny_mmdet.py', '--limit-pixels', 96 * 64, '--workers', 0]
    assert in_process('check_data.py', *arguments, monkeypatch=monkeypatch) == 0
