"""Draws a whole data set and writes it in COCO's and Cityscapes' layouts."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from ..pictures.canvas import write_image
from .labels import COCO_IDS, instance_categories, person_categories
from .scene import Instance, Scene, check_scene, draw_scene, is_whole

MANIFEST = 'manifest.json'
_FORMAT = 'hrnet_mm.synthetic'
#: Counts up whenever the same request would draw other bytes than before.
VERSION = 2
#: Splits and the number each is seeded with.
_SPLITS: Final = {'train': 0, 'val': 1}
#: Image ids of a split start above its number times this.
_IDS_PER_SPLIT = 10_000_000
_SETTINGS: Final = {'.jpg': (cv2.IMWRITE_JPEG_QUALITY, 95), '.png': (cv2.IMWRITE_PNG_COMPRESSION, 1)}
_HEAD: Final = {
    'info': {'description': 'Synthetic street scenes', 'version': '1', 'year': 2017},
    'licenses': [{'id': 1, 'name': 'Apache License 2.0', 'url': ''}],
}

_Record = dict[str, Any]


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
) -> bool:
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
        overwrite: Whether a data set that another request drew here may be replaced. Files that were not
            drawn are never touched.
        progress: Whether to show a progress bar.

    Returns:
        Whether it had to be drawn.

    Raises:
        ValueError: An argument is off, or `root` cannot be written to.
        FileExistsError: `root` holds something else.
    """
    for name, value, least in (('train', train, 1), ('val', val, 1), ('seed', seed, 0)):
        if not is_whole(value) or value < least:
            raise ValueError(f'{name}={value!r}: expected a whole number of at least {least}')
    check_scene(size=size, people=people)
    folder = Path(root)
    request = dict(train=train, val=val, size=list(size), seed=seed, people=list(people), version=VERSION)
    if _is_drawn(folder, request):
        return False
    _make_room(folder, request, overwrite=overwrite)
    _write_manifest(folder, request, complete=False)
    title = 'Drawing street scenes'
    with tqdm(total=train + val, desc=title, unit='scene', disable=not progress) as bar:
        for split in _SPLITS:
            _draw_split(folder, split, request, bar)
    _write_manifest(folder, request, complete=True)
    return True


def _draw_split(folder: Path, split: str, request: _Record, bar: tqdm[Any]) -> None:
    images: list[_Record] = []
    annotations: list[_Record] = []
    size, people = tuple(request['size']), tuple(request['people'])
    for index in range(request[split]):
        rng = np.random.default_rng(np.random.SeedSequence([request['seed'], _SPLITS[split], index]))
        scene = draw_scene(rng, size=size, people=people)
        paths, image_id = _scene_files(split, index), _image_id(split, index)
        for path, pixels in zip(paths, (scene.image, scene.image, scene.semantic), strict=True):
            write_image(folder / path, pixels, _SETTINGS[path[-4:]])
        image = {'id': image_id, 'file_name': Path(paths[0]).name}
        images.append({**image, 'height': size[0], 'width': size[1], 'license': 1})
        annotations += _annotations(scene, image_id)
        bar.update()
    people_alone = [record for record in annotations if 'keypoints' in record]
    plain = [{k: v for k, v in record.items() if 'keypoints' not in k} for record in annotations]
    contents = (plain, instance_categories()), (people_alone, person_categories())
    for name, (records, categories) in zip(_annotation_files(split), contents, strict=True):
        content = {**_HEAD, 'images': images, 'annotations': records, 'categories': categories}
        (folder / name).write_text(json.dumps(content, separators=(',', ':')), encoding='utf-8')


# --- The folder ---------------------------------------------------------------------------------------


def _read_manifest(folder: Path) -> _Record:
    """What was drawn into a folder, and whether to the end; empty where nothing was."""
    try:
        content: _Record = json.loads((folder / MANIFEST).read_text(encoding='utf-8'))
        return content if content['format'] == _FORMAT else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _write_manifest(folder: Path, request: _Record, *, complete: bool) -> None:
    content = {'format': _FORMAT, 'request': request, 'complete': complete}
    (folder / MANIFEST).write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')


def _is_drawn(folder: Path, request: _Record) -> bool:
    found = _read_manifest(folder)
    is_whole_run = found.get('complete') and found['request'] == request
    return bool(is_whole_run) and all((folder / name).is_file() for name in _files(request))


def _make_room(folder: Path, request: _Record, *, overwrite: bool) -> None:
    """Clear away what an earlier request drew here; refuse if anything else is in the way."""
    found = _read_manifest(folder).get('request')
    is_same = found is not None and {**found, 'version': VERSION} == request  # broken off, or of old
    if folder.is_dir() and any(folder.iterdir()) and not is_same:
        if found is None:
            raise FileExistsError(f'{folder} holds files of another origin. Choose an empty folder')
        if not overwrite:
            raise FileExistsError(
                f'{folder} holds another data set: {found}. Choose an empty folder, or pass overwrite=True '
                '(--overwrite) to replace what was drawn there before'
            )
    for name in _files(found) if found else ():
        (folder / name).unlink(missing_ok=True)
    try:
        for parent in {(folder / name).parent for name in _files(request)}:
            parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f'root={str(folder)!r}: expected a writable folder ({error})') from error


def _files(request: _Record) -> list[str]:
    """Every file that a request draws, besides the manifest."""
    names: list[str] = []
    for split in _SPLITS:
        scenes = range(request.get(split, 0))
        names += [*_annotation_files(split), *(name for i in scenes for name in _scene_files(split, i))]
    return names


def _annotation_files(split: str) -> tuple[str, str]:
    """COCO's files for detection and for keypoints."""
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


# --- COCO's records -----------------------------------------------------------------------------------


def _annotations(scene: Scene, image_id: int) -> list[_Record]:
    """COCO's annotations of a scene; far fewer than 100 instances stand in it, so ids never meet."""
    return [
        {
            'id': image_id * 100 + number,
            'image_id': image_id,
            'category_id': COCO_IDS[instance.category],
            'bbox': list(instance.bbox),
            'area': instance.area,
            'segmentation': run_lengths(instance.mask),
            'iscrowd': 0,
            **_keypoints(instance),
        }
        for number, instance in enumerate(scene.instances, start=1)
    ]


def _keypoints(instance: Instance) -> _Record:
    if instance.keypoints is None:
        return {}
    flat = np.round(instance.keypoints, 2).ravel().tolist()
    # COCO writes the visibility as a whole number.
    values = [int(value) if place % 3 == 2 else value for place, value in enumerate(flat)]
    return {'keypoints': values, 'num_keypoints': int((instance.keypoints[:, 2] > 0).sum())}


def run_lengths(mask: npt.NDArray[np.bool_]) -> dict[str, list[int]]:
    """A mask (H, W) as COCO's run lengths, not compressed: pixels off, on, off, ... down the columns."""
    pixels = np.concatenate([[False], mask.ravel(order='F')])
    changes = np.flatnonzero(pixels[1:] != pixels[:-1])
    counts = np.diff(changes, prepend=0, append=mask.size).tolist()
    return {'size': list(mask.shape), 'counts': counts}
