"""Folders with one folder of images per class, split into train and val or not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..config.errors import ConfigError
from .folder import Data, Folder, Split, beside, hold_out, split_of, write_text

#: Split ('' where there is none) -> its folder, and image -> class.
ClassFolders = dict[str, tuple[str, dict[str, str]]]


def find_class_folders(folder: Folder) -> ClassFolders:
    """Images by the folders that they lie in, ``train/<class>/x.jpg`` or ``<class>/x.jpg``; empty if none."""
    found: ClassFolders = {}
    for image in folder.images:
        first, *others = image.split('/')
        split = split_of(first) if len(others) > 1 else None
        inside = others if split else [first, *others]
        if len(inside) > 1:
            found.setdefault(split or '', (f'{first}/' if split else '', {}))[1][image] = inside[0]
    classes = {name for _, images in found.values() for name in images.values()}
    return found if len(classes) > 1 else {}


def read_class_folders(folder: Folder, found: ClassFolders, *, out: Path) -> Data:
    """What the folders hold; lists of images are written where folders alone do not say it.

    Raises:
        ConfigError: images to train on are in no class.
    """
    if '' in found and len(found) > 1:
        listed = ', '.join(sorted(set(found[''][1].values()))[:5])
        expected = f'folders of classes inside train and val alone; beside these are {listed}'
        raise ConfigError(key='DATA', value=str(folder.root), expected=expected)
    train = next(name for name in ('train', '', 'val', 'test') if name in found)
    classes = sorted(set(found[train][1].values()))
    notes = [('classes', ', '.join(classes))]
    parts = {name: images for name, (_, images) in found.items() if name not in (train, '')}
    if 'val' not in parts:
        labels = found[train][1]
        held_out = hold_out({image: [name] for image, name in labels.items()}, notes)
        parts = {**{name: {i: labels[i] for i in images} for name, images in held_out.items()}, **parts}
    else:
        parts = {'train': found[train][1], **parts}
    splits = {}
    for name, images in parts.items():
        unknown = sorted(set(images.values()) - set(classes))
        if unknown:
            notes.append((name, f'left out: {", ".join(unknown)}, which are not in training'))
        known = {image: label for image, label in images.items() if label in classes}
        whole = 'val' in found and sorted(set(images.values())) == classes
        splits[name] = _split(
            folder, known, classes, prefix=found[name][0] if whole else None, out=beside(out, f'{name}.txt')
        )
    return Data(
        task='cls', root=folder.root, splits=splits, metainfo=dict(classes=tuple(classes)), notes=notes
    )


def _split(
    folder: Folder, images: Mapping[str, str], classes: list[str], *, prefix: str | None, out: Path
) -> Split:
    """A split that mmpretrain reads from its folder ``prefix``, or from a list."""
    dataset = dict(ann_file='', data_prefix=prefix)
    if prefix is None:
        lines = [f'{image} {classes.index(name)}' for image, name in images.items()]
        dataset = dict(ann_file=write_text(out, '\n'.join(lines)), data_prefix='')
    words = f'{prefix or out.name}: {len(images)} images'
    return Split(dataset=dataset, images=list(images), samples=len(images), words=words)
