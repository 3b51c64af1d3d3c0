"""Draws a whole data set and writes it in COCO's and Cityscapes' layouts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from .checks import check_people, check_size, check_whole
from .coco import CocoWriter
from .manifest import NAME, Manifest, Request, read_manifest
from .scene import Scene, draw_scene

#: Splits and the number each is seeded with.
_SPLITS: dict[str, int] = {'train': 0, 'val': 1}

#: Image ids of a split start above its number times this.
_IDS_PER_SPLIT = 10_000_000
_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 95)
_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What `generate` did: where the data lie and whether they had to be drawn."""

    root: Path
    drawn: bool


@dataclass(frozen=True, kw_only=True)
class _Files:
    """The files of one scene, relative to the data set's folder."""

    split: str
    index: int

    @property
    def image_id(self) -> int:
        return _SPLITS[self.split] * _IDS_PER_SPLIT + self.index + 1

    @property
    def coco_name(self) -> str:
        return f'{self.image_id:012d}.jpg'

    @property
    def coco_image(self) -> str:
        return f'coco/{self.split}2017/{self.coco_name}'

    @property
    def cityscapes_image(self) -> str:
        return f'cityscapes/leftImg8bit/{self.split}/synthetic/{self._stem}_leftImg8bit.png'

    @property
    def cityscapes_labels(self) -> str:
        return f'cityscapes/gtFine/{self.split}/synthetic/{self._stem}_gtFine_labelTrainIds.png'

    @property
    def _stem(self) -> str:
        return f'synthetic_{self.index:06d}_000019'


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
) -> Report:
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
    folder = _check_root(root)
    check_whole('train', train, least=1)
    check_whole('val', val, least=1)
    check_whole('seed', seed, least=0)
    check_size(size)
    check_people(people)
    request = Request(
        train=int(train),
        val=int(val),
        size=(int(size[0]), int(size[1])),
        seed=int(seed),
        people=(int(people[0]), int(people[1])),
    )
    found = read_manifest(folder)
    if found is not None and found.request == request.record and found.is_whole(folder):
        return Report(root=folder, drawn=False)
    files = list(_planned(request))
    _make_room(folder, request=request, files=files, found=found, overwrite=overwrite)
    Manifest(request=request.record, files=files, complete=False).write(folder)
    with tqdm(
        total=request.train + request.val,
        desc='Drawing street scenes',
        unit='scene',
        disable=not progress,
    ) as bar:
        for split in _SPLITS:
            _write_split(folder, request, split, bar)
    Manifest(request=request.record, files=files, complete=True).write(folder)
    return Report(root=folder, drawn=True)


def _check_root(root: object) -> Path:
    """Require a folder that exists or can be made, and be written to."""
    if not isinstance(root, str | os.PathLike) or not os.fspath(root):
        raise ValueError(f'root={root!r}: expected the path of a folder')
    folder = Path(os.fspath(root))
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise ValueError(f'root={str(root)!r}: expected a folder, but {existing} is a file')
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ValueError(f'root={str(root)!r}: expected a writable folder, {existing} is not')
    return folder


def _make_room(
    folder: Path, *, request: Request, files: list[str], found: Manifest | None, overwrite: bool
) -> None:
    """Clear away what an earlier request drew here; refuse if anything else is in the way."""
    broken_off = found is not None and found.request == request.record
    if folder.exists() and any(folder.iterdir()) and not (overwrite or broken_off):
        holds = 'files of another origin' if found is None else f'another data set: {found.request}'
        raise FileExistsError(
            f'{folder} holds {holds}. Choose an empty folder, or pass overwrite=True (--overwrite) '
            'to replace what was drawn there before'
        )
    ours = set() if found is None else {*found.files, NAME}
    foreign = [name for name in (NAME, *files) if name not in ours and (folder / name).exists()]
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


def _planned(request: Request) -> Iterator[str]:
    """Every file a request writes besides the manifest."""
    for split in _SPLITS:
        yield from _annotation_names(split)
        for index in range(_count(request, split)):
            names = _Files(split=split, index=index)
            yield from (names.coco_image, names.cityscapes_image, names.cityscapes_labels)


def _annotation_names(split: str) -> tuple[str, str]:
    folder = 'coco/annotations'
    return f'{folder}/instances_{split}2017.json', f'{folder}/person_keypoints_{split}2017.json'


def _count(request: Request, split: str) -> int:
    return {'train': request.train, 'val': request.val}[split]


def _write_split(folder: Path, request: Request, split: str, bar: tqdm) -> None:
    writer = CocoWriter()
    for index in range(_count(request, split)):
        entropy = np.random.SeedSequence([request.seed, _SPLITS[split], index])
        rng = np.random.default_rng(entropy)
        scene = draw_scene(rng, size=request.size, people=request.people)
        names = _Files(split=split, index=index)
        writer.add(scene, image_id=names.image_id, file_name=names.coco_name)
        _write_scene(folder, names, scene)
        bar.update()
    instances, person_keypoints = _annotation_names(split)
    (folder / instances).write_text(writer.instances(), encoding='utf-8')
    (folder / person_keypoints).write_text(writer.person_keypoints(), encoding='utf-8')


def _write_scene(folder: Path, names: _Files, scene: Scene) -> None:
    bgr = scene.image[..., ::-1]
    _write_image(folder / names.coco_image, bgr, _JPEG)
    _write_image(folder / names.cityscapes_image, bgr, _PNG)
    _write_image(folder / names.cityscapes_labels, scene.semantic, _PNG)


def _write_image(path: Path, image: npt.NDArray[np.uint8], options: tuple[int, int]) -> None:
    # Encoding in memory keeps paths with any characters working on every system.
    done, data = cv2.imencode(path.suffix, np.ascontiguousarray(image), options)
    if not done:
        raise RuntimeError(f'OpenCV could not encode {path}')
    path.write_bytes(data.tobytes())
