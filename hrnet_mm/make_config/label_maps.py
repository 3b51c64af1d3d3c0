"""Folders of images and label maps, in separate folders or side by side, split by folders or lists or not."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from ..config.errors import ConfigError
from ..data import write_coco_masks
from .coco import Content, read_coco_data
from .folder import Data, Folder, Split, beside, hold_out, split_of, write_text
from .label_values import Labels, Pairs, read_labels

#: Suffixes of files that keep each pixel as it was.
_LOSSLESS: Final = ('.png', '.bmp', '.tif', '.tiff', '.gif')
_OF_MASKS: Final = re.compile(r'mask|label|annot|gt|ground|segm|seg$', re.IGNORECASE)
_OF_IMAGES: Final = re.compile(r'image|img|photo|jpeg|rgb$', re.IGNORECASE)
#: Made for eyes, or with a number for each object instead of each class.
_NOT_CLASSES: Final = re.compile(r'object|visuali[sz]|instance|colou?r|overlay', re.IGNORECASE)
_MASK_ENDING: Final = re.compile(r'[-_](masks?|labels?|gt|seg|L|labelIds|annotation)$')


def find_pairs(folder: Folder) -> Pairs:
    """Images and their label maps: of the same name but for an ending, in the nearest folder."""
    masks: dict[str, list[str]] = {}
    images = []
    for path in folder.images:
        if not _is_mask(path):
            images.append(path)
        elif _is_of_classes(path):
            masks.setdefault(_MASK_ENDING.sub('', PurePosixPath(path).stem), []).append(path)

    def nearness(image: str, mask: str) -> tuple[bool, int, str]:
        return (
            _split_of_folder(mask) == split_of(os.path.dirname(image)),
            len(os.path.commonpath([image, mask])),
            mask,
        )

    pairs = {}
    for image in images:
        candidates = masks.get(PurePosixPath(image).stem)
        if candidates:
            pairs[image] = max(candidates, key=lambda mask: nearness(image, mask))
    return pairs


def _is_mask(path: str) -> bool:
    """By the deepest folder whose name tells, or the ending of the file's."""
    file = PurePosixPath(path)
    telling = [part for part in file.parts[:-1] if _OF_MASKS.search(part) or _OF_IMAGES.search(part)]
    if telling and _OF_MASKS.search(telling[-1]):
        return True
    return file.suffix.lower() in _LOSSLESS and bool(_MASK_ENDING.search(file.stem))


def _is_of_classes(mask: str) -> bool:
    file = PurePosixPath(mask)
    is_lossless = file.suffix.lower() in _LOSSLESS
    return is_lossless and not _NOT_CLASSES.search(f'{file.parent.name}/{file.stem}')


def _split_of_folder(mask: str) -> str | None:
    # SegNet's trainannot, others' valmasks
    return split_of(_OF_MASKS.sub(' ', os.path.dirname(mask)))


def read_label_maps(folder: Folder, pairs: Pairs, *, out: Path) -> Data:
    """What label maps hold; lists and, where mmseg cannot read them, copies are written beside the config.

    Raises:
        ConfigError: label maps that cannot be read as classes, or one that serves two images.
    """
    for mask, count in Counter(pairs.values()).items():
        if count > 1:
            images = ' and '.join([image for image in pairs if pairs[image] == mask][:2])
            raise ConfigError(
                key='label map', value=mask, expected=f'one for each image; it is that of {images}'
            )
    labels = read_labels(folder, pairs, out=out)
    notes = labels.notes
    alone = sum(not _is_mask(path) for path in folder.images) - len(pairs)
    if alone:
        notes.append(('left out', f'{alone} images without a label map'))
    splits = _by_split(folder, labels.pairs, notes)
    return _data(folder, splits, out=out, labels=labels)


def read_coco_as_label_maps(folder: Folder, files: Mapping[str, Content], *, out: Path) -> Data:
    """Label maps drawn from the outlines in COCO files, in a folder beside the config."""
    coco = read_coco_data(folder, files, task='det', out=out)
    classes, palette = coco.metainfo['classes'], coco.metainfo['palette']
    target = beside(out, 'masks')
    pairs: dict[str, Pairs] = {}
    for name, split in coco.splits.items():
        ann_file = folder.root / split.dataset['ann_file']
        try:
            written = write_coco_masks(ann_file, target / name, categories=classes, progress=False)
        except ValueError as error:
            raise ConfigError(
                'DATA', str(ann_file), expected=f'outlines that can be drawn; {error}'
            ) from error
        pairs[name] = {image: str(mask) for image, mask in zip(split.images, written, strict=True)}
    notes = [note for note in coco.notes if note[0] != 'learned']
    notes.append(('label maps', f'drawn from the outlines, 0 is background, in {target}'))
    metainfo = dict(classes=('background', *classes), palette=[(0, 0, 0), *palette])
    return _data(folder, pairs, out=out, labels=Labels(pairs={}, metainfo=metainfo, notes=notes))


def _data(folder: Folder, pairs: Mapping[str, Pairs], *, out: Path, labels: Labels) -> Data:
    splits = {
        name: _split(folder, inside, out=beside(out, f'{name}.txt'), labels=labels)
        for name, inside in pairs.items()
    }
    return Data(task='seg', root=folder.root, splits=splits, metainfo=labels.metainfo, notes=labels.notes)


def _by_split(folder: Folder, pairs: Pairs, notes: list[tuple[str, str]]) -> dict[str, Pairs]:
    """Splits by the images' folders, or by lists of names, or made."""
    found: dict[str, Pairs] = {}
    for image, mask in pairs.items():
        found.setdefault(split_of(os.path.dirname(image)) or '', {})[image] = mask
    if 'train' not in found:
        found = dict(_listed(folder, pairs))
    if 'train' not in found:
        found = {'train': pairs}
    if 'val' not in found:
        held_out = hold_out(dict.fromkeys(found['train'], ()), notes)
        found |= {name: {i: pairs[i] for i in images} for name, images in held_out.items()}
    return {name: found[name] for name in ('train', 'val', 'test') if name in found}


def _listed(folder: Folder, pairs: Pairs) -> Iterator[tuple[str, Pairs]]:
    """Splits that text files list, one image a line: its path, its name, or its name without suffix."""
    by_stem = {PurePosixPath(image).stem: image for image in pairs}
    for file in folder.ending('.txt'):
        name = split_of(PurePosixPath(file).stem)
        lines = (
            (folder.root / file).read_text(encoding='utf-8-sig', errors='replace').splitlines()
            if name
            else []
        )
        names = [PurePosixPath(line.split()[0].replace('\\', '/')) for line in lines if line.strip()]
        images = [by_stem.get(path.stem, by_stem.get(path.name, '')) for path in names]
        inside = {image: pairs[image] for image in images if image}
        if name and inside:
            yield name, inside


def _split(folder: Folder, pairs: Pairs, *, out: Path, labels: Labels) -> Split:
    """A split as ``SegmentationFolder`` reads it: two folders, and a list where not all of one is meant."""
    image_dir, mask_dir = _common_folder(pairs), _common_folder(pairs.values())
    stems, endings = {}, {}
    for image, mask in pairs.items():
        stem, suffix = os.path.splitext(os.path.relpath(image, image_dir or '.'))
        name = os.path.relpath(mask, mask_dir or '.')
        if name.startswith(stem):
            stems[image], endings[image] = stem, (suffix, name.removeprefix(stem))
    if len(stems) < len(pairs):
        lost = next(image for image in pairs if image not in stems)
        why = f'lie in other folders than their label maps, as {lost} and {pairs[lost]}'
        if not stems:
            raise ConfigError(
                'DATA', str(folder.root), expected=f'label maps in folders as the images; they {why}'
            )
        labels.notes.append(
            (f'left out of {out.stem}', f'{len(pairs) - len(stems)} of {len(pairs)} images {why}')
        )
    suffixes, mask_suffixes = (
        tuple(dict.fromkeys(several)) for several in zip(*endings.values(), strict=True)
    )
    images = list(stems)
    dataset = dict(
        ann_file='',
        data_prefix=dict(img_path=image_dir, seg_map_path=mask_dir),
        img_suffix=suffixes if suffixes[1:] else suffixes[0],
        seg_map_suffix=mask_suffixes if mask_suffixes[1:] else mask_suffixes[0],
        **labels.dataset,
    )
    inside = [path for path in folder.images if path.startswith(image_dir) and path.endswith(suffixes)]
    if {*inside} - {*pairs.values()} != {*images}:
        dataset['ann_file'] = write_text(out, '\n'.join(stems.values()))
    where = f'label maps in {mask_dir or folder.root.name}'
    words = f'{out.name if dataset["ann_file"] else image_dir}: {len(images)} images, {where}'
    return Split(dataset=dataset, images=images, samples=len(images), words=words)


def _common_folder(paths: Iterable[str]) -> str:
    return os.path.commonpath({os.path.dirname(path) for path in paths})
