"""A folder of data as people have it: its files, the splits that their names tell of, and making a split."""

from __future__ import annotations

import os
import random
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Final

from ..config.errors import ConfigError
from ..utils import atomic_write

IMAGE_SUFFIXES: Final = frozenset(
    ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp', '.ppm', '.pgm', '.gif')
)
#: Words in the names of files and folders -> split.
_SPLITS: Final[Mapping[str, str]] = {
    **dict.fromkeys(('train', 'training'), 'train'),
    **dict.fromkeys(('val', 'valid', 'validation'), 'val'),
    **dict.fromkeys(('test', 'testing'), 'test'),
}
#: Endings of what is written beside a config.
_WRITTEN: Final = (
    'masks',
    *(f'{name}.{kind}' for name in ('train', 'val', 'test') for kind in ('json', 'txt')),
)
_VAL_SHARE = 0.2
#: Fewer images than this are not split: they are validated on as well.
_LEAST_TO_SPLIT = 5


@dataclass(frozen=True)
class Folder:
    """Files below a folder, as sorted POSIX paths relative to it; hidden ones are passed over."""

    root: Path
    files: tuple[str, ...]

    @cached_property
    def images(self) -> tuple[str, ...]:
        """The files that are images by their suffix."""
        return tuple(file for file in self.files if PurePosixPath(file).suffix.lower() in IMAGE_SUFFIXES)

    def ending(self, *suffixes: str) -> list[str]:
        """The files with one of these suffixes."""
        return [file for file in self.files if file.lower().endswith(suffixes)]


@dataclass(kw_only=True)
class Split:
    """Images to train, validate or test on.

    Attributes:
        dataset: What the config says of them: ``ann_file``, ``data_prefix``, ...
        images: Their files, relative to the folder.
        samples: Of an epoch: images, or, for pose, annotations.
        words: How it is told of.
    """

    dataset: dict[str, Any]
    images: list[str]
    samples: int
    words: str


@dataclass(kw_only=True)
class Data:
    """What was found in a folder.

    Attributes:
        task: ``'pose'``, ``'seg'``, ``'det'`` or ``'cls'``.
        root: The folder that paths are relative to.
        splits: ``train``, ``val`` and, where there is one, ``test``.
        metainfo: The data sets': ``classes`` and ``palette``, or what mmpose wants; empty for COCO's people.
        masks: Whether each annotation has a mask to learn.
        boxes: For pose: width over height of each box.
        notes: What a user should know, topic and text.
    """

    task: str
    root: Path
    splits: dict[str, Split]
    metainfo: dict[str, Any]
    masks: bool = False
    boxes: list[float] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)


def read_folder(root: Path, *, out: Path) -> Folder:
    """List a folder and those below it, without what an earlier run wrote beside the config ``out``.

    Raises:
        ConfigError: there is no such folder.
    """
    if not root.is_dir():
        raise ConfigError(key='DATA', value=str(root), expected='a folder, or a COCO annotation file')
    files = []
    for place, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(('.', '__'))]
        inside = Path(place).relative_to(root)
        files += [(inside / name).as_posix() for name in names if not name.startswith('.')]
        if Path(place) == out.absolute().parent:
            made = {beside(out, ending).name for ending in _WRITTEN}
            folders[:] = [name for name in folders if name not in made]
            files = [file for file in files if PurePosixPath(file).name not in made]
    return Folder(root, tuple(sorted(files)))


def split_of(path: str) -> str | None:
    """The split that the last telling word of a path names, as in ``labels/instances_train2017.json``."""
    words = re.findall('[a-z]+', path.lower())
    return next((_SPLITS[word] for word in reversed(words) if word in _SPLITS), None)


def without_split(path: str) -> str:
    """A path with a star for each word that names a split: equal for files that belong together."""
    return re.sub('[A-Za-z]+', lambda word: '*' if word[0].lower() in _SPLITS else word[0], path)


def hold_out(classes: Mapping[str, Iterable[Hashable]], notes: list[tuple[str, str]]) -> dict[str, list[str]]:
    """Choose a fifth of the images to validate on, by a fixed seed, so that no class is lost to training.

    Args:
        classes: Image -> what is in it.
        notes: Are told of the choice.

    Returns:
        Images of ``train`` and of ``val``, in the order given; the same ones where there are fewer than five.
    """
    images = list(classes)
    wanted = max(1, round(_VAL_SHARE * len(images))) if len(images) >= _LEAST_TO_SPLIT else 0
    left = Counter(name for image in images for name in set(classes[image]))
    chosen: set[str] = set()
    for image in random.Random(0).sample(images, len(images)):
        inside = set(classes[image])
        if len(chosen) < wanted and all(left[name] > 1 for name in inside):
            chosen.add(image)
            left.subtract(inside)
    if not chosen:
        notes.append(('val split', 'too few images to hold some out: validated on those of training'))
        return {'train': images, 'val': images}
    notes.append(('val split', 'there was none: a fifth of the images, chosen by a fixed seed'))
    return {'train': [i for i in images if i not in chosen], 'val': [i for i in images if i in chosen]}


def beside(out: Path, ending: str) -> Path:
    """The path of a file of ours that goes with a config, as ``my_train.json`` with ``my.py``."""
    return out.absolute().with_name(f'{out.stem}_{ending}')


def write_text(path: Path, text: str) -> str:
    """Write a file of ours; the path, as a config names it."""
    with atomic_write(path) as aside:
        aside.write_text(text, encoding='utf-8')
    return str(path)
