"""The layouts say what the scenes say, as the packages' own data sets read them."""

from __future__ import annotations

import json
from pathlib import Path

import layouts
import numpy as np
import pytest
from mmengine.registry import DATASETS, DefaultScope

from hrnet_mm.demo.labels import KEYPOINTS

#: Our classes as each data set calls them.
NAMES = {
    'VOCdevkit/VOC2010': ('PascalContextDataset', 0, {'vegetation': 'tree'}),
    'ade/ADEChallengeData2016': ('ADE20KDataset', 1, {'vegetation': 'tree'}),
    'coco_stuff10k': (
        'COCOStuffDataset',
        1,
        {'sidewalk': 'pavement', 'building': 'building-other', 'vegetation': 'tree', 'sky': 'sky-other'},
    ),
}


@pytest.mark.parametrize('layout', layouts.SEGMENTATION, ids=lambda layout: layout.root)
def test_values_stand_for_the_class_of_that_name(layout: layouts.SegmentationLayout) -> None:
    import mmseg.datasets

    dataset, first, names = NAMES[layout.root]
    classes = getattr(mmseg.datasets, dataset).METAINFO['classes']
    assert {name: classes[value - first] for name, value in layout.labels.items()} == {
        name: names.get(name, name) for name in layout.labels
    }


def test_mpii_holds_cocos_people(workplace: Path) -> None:
    import mmpose.datasets  # noqa: F401

    root = workplace / 'data' / 'mpii'
    cfg = dict(
        type='MpiiDataset',
        data_root=str(root),
        ann_file='annotations/mpii_val.json',
        data_prefix=dict(img='images/'),
        headbox_file=str(root / 'annotations' / 'mpii_gt_val.mat'),
        test_mode=True,
    )
    with DefaultScope.overwrite_default_scope('mmpose'):
        people = DATASETS.build(cfg)
    truth = json.loads((workplace / 'data/coco/annotations/person_keypoints_val2017.json').read_text())
    assert len(people) == len(truth['annotations'])
    joint, keypoint = list(layouts.MPII_JOINTS).index('left_knee'), KEYPOINTS.index('left_knee')
    for person, record in zip(people, truth['annotations'], strict=True):
        x, y, visible = record['keypoints'][3 * keypoint : 3 * keypoint + 3]
        assert person['keypoints_visible'][0, joint] == (visible > 0)
        # counted from 1; the metric adds 1 to what is predicted
        np.testing.assert_allclose(person['keypoints'][0, joint], (x + 1, y + 1), atol=1e-4)
        height = record['bbox'][3]
        np.testing.assert_allclose(np.ptp(person['bbox'][0, 1::2]), 1.25 * height, rtol=0.3)
        assert 0 < person['head_size'].item() < height
