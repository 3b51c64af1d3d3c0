"""Folders with COCO annotation files, as CVAT, Roboflow, Label Studio and labelme2coco export them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ..config.errors import ConfigError
from ..data.coco import UnreadableAnnotations, read_coco
from ..pictures.metadata import distinct_colours
from ..utils import listed
from .coco_repair import has_keypoints, id_text, repair
from .folder import Data, Folder, Split, beside, hold_out, read_folder, split_of, without_split, write_text
from .keypoints import pose_metainfo

Record = Mapping[str, Any]
Content = dict[str, list[Any]]


def find_coco(data: Path, *, out: Path) -> tuple[Folder, dict[str, Content]]:
    """The COCO files of a folder, or those that belong to one.

    Args:
        data: A folder, or one annotation file.
        out: The config that will be written.

    Returns:
        The folder, and its COCO files by their path in it.
    """
    if data.is_dir():
        folder = read_folder(data, out=out)
        wanted = folder.ending('.json')
    else:
        root = data.parent
        if split_of(root.name) or not read_folder(root, out=out).images:
            root = root.parent  # train/_annotations.coco.json, annotations/instances_train.json
        folder = read_folder(root, out=out)
        mine = data.relative_to(root).as_posix()
        wanted = [file for file in folder.ending('.json') if without_split(file) == without_split(mine)]
        if not any(split_of(file) == 'train' for file in wanted):
            wanted = [mine]
    found = {}
    for file in wanted:
        try:
            found[file] = read_coco(str(folder.root / file))
        except UnreadableAnnotations as error:
            if not data.is_dir():
                raise ConfigError(
                    'DATA', str(data), expected=f'a COCO annotation file; it {error}'
                ) from error
    return folder, {file: content for file, content in found.items() if content['annotations']}


def read_coco_data(folder: Folder, files: Mapping[str, Content], *, task: str, out: Path) -> Data:
    """What the COCO files of a folder hold; repaired or split copies are written beside the config.

    Args:
        folder: The folder.
        files: From ``find_coco``.
        task: ``'pose'`` or ``'det'``.
        out: The config that will be written.

    Raises:
        ConfigError: the files are not of one data set, or none of their images is there.
    """
    chosen = _one_per_split(folder, files, pose=task == 'pose')
    learned = files[chosen.get('train') or next(iter(chosen.values()))]
    categories = _used_categories(learned, pose=task == 'pose')
    names = [str(category['name']) for category in categories]
    notes = [('classes', ', '.join(names))]
    unused = [str(c.get('name')) for c in learned['categories'] if c.get('name') not in names]
    if unused:
        notes.append(('left out', f'{", ".join(unused)}: no annotation to learn from'))
    data = Data(task=task, root=folder.root, splits={}, metainfo={}, notes=notes)
    for split, file in chosen.items():
        parts, prefix, copied = _parts(folder, file, files[file], categories, split=split, data=data)
        for name, part in parts.items():
            ann_file = write_text(beside(out, f'{name}.json'), json.dumps(part)) if copied else file
            data.splits[name] = _split(part, prefix, ann_file, task=task)
            if name == 'train':
                _describe(data, categories, [a for a in part['annotations'] if not a['iscrowd']])
    return data


def _describe(data: Data, categories: Sequence[Record], annotations: Sequence[Record]) -> None:
    """What the annotations to train on tell of keypoints, boxes and masks."""
    if data.task == 'pose':
        data.metainfo, said = pose_metainfo(categories, annotations)
        data.notes += said
        data.boxes = [a['bbox'][2] / a['bbox'][3] for a in annotations if a.get('bbox') and a['bbox'][3] > 0]
        return
    names = tuple(str(category['name']) for category in categories)
    data.metainfo = dict(classes=names, palette=list(distinct_colours(len(names))))
    data.masks = all(map(_has_mask, annotations)) and not all(map(_is_rectangle, annotations))
    some = not data.masks and any(map(_has_mask, annotations))
    alone = ' alone: not every annotation has a mask' if some else ''
    data.notes.append(('learned', 'boxes and masks' if data.masks else f'boxes{alone}'))


def _one_per_split(folder: Folder, files: Mapping[str, Content], *, pose: bool) -> dict[str, str]:
    """Split -> file; the one file of a folder that is not split goes by ``all``."""
    usable = {name for name, content in files.items() if not pose or has_keypoints(content)}
    groups = sorted({without_split(name) for name in usable})
    if not groups:
        expected = 'COCO annotations with keypoints; or another --task'
        raise ConfigError(key='DATA', value=str(folder.root), expected=expected)
    if len(groups) > 1:
        found = listed(sorted(usable))
        expected = f'files of one data set, found {found}; name the one to train on: DATA/{min(usable)}'
        raise ConfigError(key='DATA', value=str(folder.root), expected=expected)
    chosen = {split_of(name) or 'all': name for name in sorted(usable)}
    if 'train' in chosen:
        return chosen if 'val' in chosen else {'all': chosen.pop('train'), **chosen}
    return {'all': next(iter(chosen.values()))}


def _used_categories(content: Content, *, pose: bool) -> list[Record]:
    used = {
        id_text(a.get('category_id'))
        for a in content['annotations']
        if not pose or any(a.get('keypoints') or ())
    }
    categories = [c for c in content['categories'] if id_text(c.get('id')) in used and 'name' in c]
    if not categories:
        expected = 'annotations of categories that the file lists'
        raise ConfigError(key='DATA', value=f'{len(content["annotations"])} annotations', expected=expected)
    first: dict[str, Record] = {}
    for category in categories:
        first.setdefault(str(category['name']), category)
    return list(first.values())


def _parts(
    folder: Folder, file: str, content: Content, categories: Sequence[Record], *, split: str, data: Data
) -> tuple[dict[str, Content], str, bool]:
    """One annotation file's split, or the two that are made of one file.

    Returns:
        Split -> content, the images' folder, and whether it has to be written.
    """
    prefix, repaired, changes = repair(folder, file, content, categories, pose=data.task == 'pose')
    if changes:
        told = '; '.join(f'{count} x {change}' for change, count in changes.items())
        data.notes.append((file, f'{told}, in a copy beside the config'))
    if split != 'all':
        return {split: repaired}, prefix, bool(changes)
    inside: dict[str, list[Any]] = {str(image['file_name']): [] for image in repaired['images']}
    names = {image['id']: str(image['file_name']) for image in repaired['images']}
    for annotation in repaired['annotations']:
        inside[names[annotation['image_id']]].append(annotation['category_id'])
    held_out = hold_out(inside, data.notes)
    parts = {name: _of_images(repaired, images) for name, images in held_out.items()}
    return parts, prefix, bool(changes) or held_out['train'] != held_out['val']


def _of_images(content: Content, names: Sequence[str]) -> Content:
    kept = set(names)
    images = [image for image in content['images'] if image['file_name'] in kept]
    ids = {image['id'] for image in images}
    return {
        **content,
        'images': images,
        'annotations': [a for a in content['annotations'] if a['image_id'] in ids],
    }


def _split(content: Content, prefix: str, ann_file: str, *, task: str) -> Split:
    images = [prefix + str(image['file_name']) for image in content['images']]
    count = len(content['annotations'])
    return Split(
        dataset=dict(ann_file=ann_file, data_prefix=dict(img=prefix)),
        images=images,
        samples=count if task == 'pose' else len(images),
        words=f'{PurePosixPath(ann_file).name}: {len(images)} images, {count} annotations',
    )


def _has_mask(annotation: Record) -> bool:
    return bool(annotation.get('segmentation'))


def _is_rectangle(annotation: Record) -> bool:
    """Whether a polygon is its box's outline, as exporters write one for each box."""
    polygons, box = annotation.get('segmentation'), annotation.get('bbox')
    if not isinstance(polygons, list) or len(polygons) != 1 or not isinstance(polygons[0], list) or not box:
        return False
    x, y = {round(v) for v in polygons[0][::2]}, {round(v) for v in polygons[0][1::2]}
    corners = {round(box[0]), round(box[0] + box[2])}, {round(box[1]), round(box[1] + box[3])}
    return len(polygons[0]) in (8, 10) and (x, y) == corners


def tasks_of(files: Mapping[str, Content]) -> Iterator[str]:
    """What COCO files can be trained for, the most telling first."""
    contents = list(files.values())
    if not contents:
        return
    if any(map(has_keypoints, contents)):
        yield 'pose'
    yield 'det'
    kinds = Counter(_has_mask(a) for content in contents for a in content['annotations'])
    if kinds[True]:
        yield 'seg'
