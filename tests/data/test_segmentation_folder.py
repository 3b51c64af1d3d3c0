"""One data set of images and label maps that end in several suffixes, listed or not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from mmengine.registry import DATASETS, DefaultScope

import hrnet_mm  # noqa: F401  registers the data set
from hrnet_mm.data.sources import DataSource

SUFFIXES = ('.jpg', '.JPG', '.png')


def build(root: Path, files: Sequence[str], **settings: Any) -> Any:
    """A data set of empty files, by mmseg's registry as in a config."""
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    common = dict(
        type='hrnet_mm.SegmentationFolder',
        data_root=str(root),
        data_prefix=dict(img_path='images', seg_map_path='masks'),
        img_suffix=SUFFIXES,
    )
    with DefaultScope.overwrite_default_scope('mmseg'):
        return DATASETS.build({**common, **settings})


def pairs(dataset: Any, root: Path) -> dict[str, str]:
    """Image -> label map, in order."""
    return {
        str(Path(record['img_path']).relative_to(root)): str(Path(record['seg_map_path']).relative_to(root))
        for record in dataset
    }


def test_all_suffixes_in_one_order(tmp_path: Path) -> None:
    files = ['images/c.jpg', 'images/a.JPG', 'images/sub/b.png', 'images/d.gif']
    masks = ['masks/c.png', 'masks/a.bmp', 'masks/sub/b.png']
    found = pairs(build(tmp_path, [*files, *masks], seg_map_suffix=('.png', '.bmp')), tmp_path)
    assert list(found.items()) == [
        ('images/a.JPG', 'masks/a.bmp'),
        ('images/c.jpg', 'masks/c.png'),
        ('images/sub/b.png', 'masks/sub/b.png'),
    ]


def test_lists_keep_their_order_and_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / 'names.txt').write_text('c\na\ngone\n')
    files = ['images/c.jpg', 'images/a.JPG', 'images/b.png']
    found = pairs(build(tmp_path, files, ann_file='names.txt'), tmp_path)
    assert list(found) == ['images/c.jpg', 'images/a.JPG', 'images/gone.jpg']


@pytest.mark.parametrize(
    ('prefix', 'files', 'suffix'),
    [
        (dict(img_path='', seg_map_path=''), ['a.JPG', 'a_mask.png'], '_mask.png'),
        (dict(img_path='', seg_map_path='masks'), ['a.JPG', 'masks/a.png', 'masks/stale.png'], '.png'),
    ],
)
def test_label_maps_among_the_images_are_none(
    prefix: dict[str, str], files: list[str], suffix: str, tmp_path: Path
) -> None:
    dataset = build(tmp_path, files, data_prefix=prefix, seg_map_suffix=suffix)
    assert pairs(dataset, tmp_path) == {files[0]: files[1]}


def test_two_images_with_one_label_map_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r'images/a\.jpg and .*images/a\.png would have one label map'):
        build(tmp_path, ['images/a.jpg', 'images/a.png', 'masks/a.png'])


def test_what_it_leaves_out_is_told(tmp_path: Path) -> None:
    """Its label maps, in a folder below the images', are not left out."""
    prefix = dict(img_path='', seg_map_path='masks')
    build(tmp_path, ['a.JPG', 'b.bmp', 'masks/a.png'], data_prefix=prefix)
    section = dict(type='hrnet_mm.SegmentationFolder', data_root=str(tmp_path), data_prefix=prefix)
    with DefaultScope.overwrite_default_scope('mmseg'):
        (finding,) = DataSource('train_dataloader.dataset', section).left_out()
    assert finding.reason.startswith('1 x .bmp; img_suffix is')
