"""docs/own_data.md: its configs, as they stand there, train and are tested on data laid out as it says."""

from __future__ import annotations

import json
import re
import shutil
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
import pytest
from pages import ROOT, blocks
from workplace import shrink

from hrnet_mm.config.load import load_config
from hrnet_mm.data import write_coco_masks
from hrnet_mm.demo.dataset import generate
from hrnet_mm.training.run import run_test, run_train

PAGE = ROOT / 'docs' / 'own_data.md'
#: File on the page -> the metric.
METRICS = {'my_pose.py': 'coco/AP', 'my_boxes.py': 'coco/bbox_mAP', 'my_labels.py': 'mIoU'}


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``data/mine`` as the page lays it out, four images to train on and two to test on."""
    root = tmp_path_factory.mktemp('own')
    (root / 'configs').symlink_to(ROOT / 'configs')
    generate(root / 'drawn', train=4, val=2, progress=False)
    mine = root / 'data' / 'mine'
    (mine / 'images').mkdir(parents=True)
    for split in ('train', 'val'):
        for image in (root / 'drawn' / 'coco' / f'{split}2017').iterdir():
            shutil.copy(image, mine / 'images')
        _write_annotations(root / 'drawn/coco/annotations', split, mine)
        write_coco_masks(mine / f'{split}.json', mine / 'masks')
        names = [image['file_name'] for image in json.loads((mine / f'{split}.json').read_text())['images']]
        (mine / f'{split}.txt').write_text('\n'.join(Path(name).stem for name in names))
    return root


def _write_annotations(folder: Path, split: str, mine: Path) -> None:
    """People with the page's three keypoints in one file, people and cars in another."""
    people = json.loads((folder / f'person_keypoints_{split}2017.json').read_text())
    boxes = json.loads((folder / f'instances_{split}2017.json').read_text())
    cars = next(c['id'] for c in boxes['categories'] if c['name'] == 'car')
    nose_and_hands = (0, 9, 10)
    for person in people['annotations']:
        triples = [person['keypoints'][3 * k : 3 * k + 3] for k in nose_and_hands]
        person.update(keypoints=[*chain(*triples)], num_keypoints=sum(t[2] > 0 for t in triples))
    (mine / f'people_{split}.json').write_text(json.dumps(people))
    others = [a for a in boxes['annotations'] if a['category_id'] == cars]
    for number, car in enumerate(others, start=1 + max(a['id'] for a in people['annotations'])):
        car['id'] = number
    (person,) = people['categories']
    people['categories'] = [person, {'id': cars, 'name': 'car', 'supercategory': 'vehicle'}]
    people['annotations'] += others
    (mine / f'{split}.json').write_text(json.dumps(people))


def _files() -> dict[str, str]:
    """The page's configs by the names that its text gives them."""
    names = re.findall(r'^`(my_\w+\.py)`', PAGE.read_text(encoding='utf-8'), re.MULTILINE)
    return dict(zip(names, (block.text for block in blocks(PAGE, 'python')), strict=True))


def test_the_page_has_three_configs_of_three_edits() -> None:
    files = _files()
    assert list(files) == list(METRICS)
    for text in files.values():
        assert re.findall(r'^# (\d)\.', text, re.MULTILINE) == ['1', '2', '3']


@pytest.mark.nightly
@pytest.mark.parametrize('name', METRICS)
def test_a_config_trains_and_is_tested(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    Path(name).write_text(_files()[name])
    cfg = shrink(load_config(name))
    assert np.isfinite(run_test(cfg, run_train(cfg))[METRICS[name]])


def test_masks_are_those_of_the_polygons(folder: Path) -> None:
    """The layout that the page describes is the one that was trained on."""
    for mask in (folder / 'data/mine/masks').iterdir():
        labels = cv2.imread(str(mask), cv2.IMREAD_UNCHANGED)
        assert set(np.unique(labels)) <= {0, 1, 2, 255}
