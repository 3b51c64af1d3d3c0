"""Draws a whole data set and writes it in COCO's and Cityscapes' layouts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from .coco import CocoWriter
from .scene import Scene, check_scene, draw_scene, is_whole

MANIFEST = 'manifest.json'
_FORMAT = 'hrnet_mm.synthetic'
#: Counts up whenever the same request would draw other bytes than before.
VERSION = 1
#: Splits and the number each is seeded with.
_SPLITS: Final = {'train': 0, 'val': 1}
#: Image ids of a split start above its number times this.
_IDS_PER_SPLIT = 10_000_000
_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 95)
_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1)


@dataclass(frozen=True, kw_only=True)
class DrawnData:
    """What `generate` did: where the data lie and whether they had to be drawn."""

    root: Path
    drawn: bool


def generate(
    root: str | os.PathLike[str],
    *,
    train: int = 300,
    val: int = 60,
    size: tuple[int, int] = (192, 320),
    seed: int = 0,
    people: tuple[int, int] = (1, 6),
    overwrite: bool = False,
    progress: bool = True,
) -> DrawnData:
    """Draw a data set under `root`, or leave it be if the same one lies there already.

    Each scene is drawn from (seed, split, index) alone: a larger split begins with the same scenes
    as a smaller one. The same seed gives the same bytes with the same versions of NumPy and OpenCV.

    Args:
        root: Folder to write to. It holds `coco/` (`{split}2017/`, `annotations/`), `cityscapes/`
            (`leftImg8bit/`, `gtFine/`) and `manifest.json` afterwards.
        train: Number of training scenes.
        val: Number of validation scenes.
        size: (height, width) of the scenes in pixels.
        seed: Where all chance starts from.
        people: (least, most) people placed in a scene, see `draw_scene`.
        overwrite: Whether a data set that another request drew here may be replaced. Files that it
            did not write are never touched.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: An argument is off, or `root` cannot be written to.
        FileExistsError: `root` holds something else.
    """
    for name, value, least in (('train', train, 1), ('val', val, 1), ('seed', seed, 0)):
        if not is_whole(value) or value < least:
            raise ValueError(f'{name}={value!r}: expected a whole number of at least {least}')
    check_scene(size=size, people=people)
    size = (size[0], size[1])  # a list from a command line
    folder = Path(root)
    request = dict(train=train, val=val, size=list(size), seed=seed, people=list(people), version=VERSION)
    found = read_manifest(folder)
    if found is not None and found.request == request and found.is_whole(folder):
        return DrawnData(root=folder, drawn=False)
    counts = {'train': train, 'val': val}
    files = list(_planned(counts))
    _make_room(folder, request=request, files=files, found=found, overwrite=overwrite)
    Manifest(request=request, files=files, complete=False).write(folder)
    title = 'Drawing street scenes'
    with tqdm(total=train + val, desc=title, unit='scene', disable=not progress) as bar:
        for split, count in counts.items():
            writer = CocoWriter()
            for index in range(count):
                rng = np.random.default_rng(np.random.SeedSequence([seed, _SPLITS[split], index]))
                _write_scene(folder, writer, draw_scene(rng, size=size, people=people), split, index)
                bar.update()
            texts = writer.instances(), writer.person_keypoints()
            for name, text in zip(_annotation_files(split), texts, strict=True):
                (folder / name).write_text(text, encoding='utf-8')
    Manifest(request=request, files=files, complete=True).write(folder)
    return DrawnData(root=folder, drawn=True)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a folder holds: the request that filled it and every file written for it.

    `files` are relative to the folder, with forward slashes. It is written before the first file
    (`complete` False) and again after the last, so a run that was broken off can be told from a finished
    one and from somebody else's folder.
    """

    request: dict[str, Any]
    files: Sequence[str]
    complete: bool

    def write(self, root: Path) -> None:
        """Write the manifest into its folder."""
        content = {'format': _FORMAT, **asdict(self)}
        (root / MANIFEST).write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')

    def is_whole(self, root: Path) -> bool:
        """Whether the run was finished and every file is still there."""
        return self.complete and all((root / name).is_file() for name in self.files)

    def remove_files(self, root: Path) -> None:
        """Remove the listed files, the manifest, and the folders this leaves empty; no others."""
        base = root.resolve()
        paths = [root / name for name in self.files]
        for path in paths:
            if not path.parent.resolve().is_relative_to(base):
                raise ValueError(f'{root / MANIFEST} lists {path}, expected only files inside {root}')
        for path in paths:
            path.unlink(missing_ok=True)
        (root / MANIFEST).unlink()
        folders = {folder for path in paths for folder in path.parents if root in folder.parents}
        for folder in sorted(folders, key=lambda path: len(path.parts), reverse=True):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def read_manifest(root: Path) -> Manifest | None:
    """The manifest of a folder, or None where there is none of ours."""
    try:
        content = json.loads((root / MANIFEST).read_text(encoding='utf-8'))
        if content.pop('format') == _FORMAT:
            return Manifest(**content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return None


def _make_room(
    folder: Path, *, request: dict[str, Any], files: list[str], found: Manifest | None, overwrite: bool
) -> None:
    """Clear away what an earlier request drew here; refuse if anything else is in the way."""
    broken_off = found is not None and found.request == request
    if folder.is_dir() and any(folder.iterdir()) and not (overwrite or broken_off):
        holds = 'files of another origin' if found is None else f'another data set: {found.request}'
        raise FileExistsError(
            f'{folder} holds {holds}. Choose an empty folder, or pass overwrite=True (--overwrite) '
            'to replace what was drawn there before'
        )
    ours = set() if found is None else {*found.files, MANIFEST}
    foreign = [name for name in (MANIFEST, *files) if name not in ours and (folder / name).exists()]
    if foreign:
        raise FileExistsError(
            f'{folder / foreign[0]} was not drawn by an earlier run and would be replaced; '
            'choose another folder'
        )
    if found is not None:
        found.remove_files(folder)
    try:
        for parent in sorted({(folder / name).parent for name in files}):
            parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f'root={str(folder)!r}: expected a writable folder ({error})') from error


def _planned(counts: dict[str, int]) -> Iterator[str]:
    """Every file besides the manifest."""
    for split, count in counts.items():
        yield from _annotation_files(split)
        for index in range(count):
            yield from _scene_files(split, index)


def _annotation_files(split: str) -> tuple[str, str]:
    folder = 'coco/annotations'
    return f'{folder}/instances_{split}2017.json', f'{folder}/person_keypoints_{split}2017.json'


def _scene_files(split: str, index: int) -> tuple[str, str, str]:
    """COCO's image, Cityscapes' image and label map of one scene."""
    place = f'{split}/synthetic/synthetic_{index:06d}_000019'
    return (
        f'coco/{split}2017/{_image_id(split, index):012d}.jpg',
        f'cityscapes/leftImg8bit/{place}_leftImg8bit.png',
        f'cityscapes/gtFine/{place}_gtFine_labelTrainIds.png',
    )


def _image_id(split: str, index: int) -> int:
    return _SPLITS[split] * _IDS_PER_SPLIT + index + 1


def _write_scene(folder: Path, writer: CocoWriter, scene: Scene, split: str, index: int) -> None:
    coco, image, labels = _scene_files(split, index)
    writer.add(scene, image_id=_image_id(split, index), file_name=Path(coco).name)
    for name, pixels in ((coco, scene.image), (image, scene.image), (labels, scene.semantic)):
        _write_image(folder / name, pixels)


def _write_image(path: Path, image: npt.NDArray[np.uint8]) -> None:
    """Write RGB or a label map, as JPEG or PNG."""
    # Encoding in memory keeps paths with any characters working on every system.
    bgr = np.ascontiguousarray(image[..., ::-1] if image.ndim == 3 else image)
    done, data = cv2.imencode(path.suffix, bgr, _JPEG if path.suffix == '.jpg' else _PNG)
    if not done:
        raise RuntimeError(f'OpenCV could not encode {path}')
    path.write_bytes(data.tobytes())
