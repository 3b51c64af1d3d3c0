"""From a folder to a config file: look, decide, write, check the data, predict the memory."""

from __future__ import annotations

import os
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from statistics import median

from mmengine.config import Config

from ..analysis import predict_training_memory, shape_of
from ..config.errors import ConfigError, one_line
from ..config.files import require_checkpoint, require_file, shipped_configs_folder
from ..config.load import load_config
from ..config.text import format_config, spelled
from ..data import DataReport, check_datasets
from ..data.coco import UnreadableAnnotations, read_coco
from ..data.images import read_header
from ..models.arch import NAMED_ARCHS
from ..utils import quiet
from .bands import Bands, measure, needs_tifffile, read_bands
from .class_folders import find_class_folders, read_class_folders
from .coco import find_coco, read_coco_data, tasks_of
from .folder import Data, Folder, write_text
from .label_maps import find_pairs, read_coco_as_label_maps, read_label_maps
from .recipes import Values, choose_recipe, network, schedule
from .tasks import TASKS

_ORDER = ('train', 'val', 'test')
_SAMPLE = 200  # images whose headers tell of all


@dataclass
class MadeConfig:
    """A config that was written.

    Attributes:
        path: The file.
        lines: What was found and decided.
        size: Height and width, in pixels, of the images in training.
    """

    path: Path
    lines: list[str]
    size: tuple[int, int]

    def check(self) -> DataReport:
        """Look at all of the data, as ``tools/check_data.py`` does."""
        return check_datasets(load_config(self.path), workers=min(8, os.cpu_count() or 1))

    def memory(self) -> str:
        """What a training step will take, in words."""
        with quiet():
            memory = predict_training_memory(load_config(self.path), self.size)
        height, width = self.size
        return f'{memory.peak / 2**30:.2f} GiB for {memory.batch} images of {width}x{height}, predicted'


def make_config(
    data: str | Path,
    *,
    task: str | None = None,
    arch: str = 'w18',
    out: str | Path | None = None,
    weights: str | None = None,
    overwrite: bool = False,
) -> MadeConfig:
    """Write a config for the data in a folder, on one of ours; files of the folder stay as they are.

    Args:
        data: The folder, or a COCO annotation file.
        task: ``'pose'``, ``'seg'``, ``'det'`` or ``'cls'``; by default what the folder is for.
        arch: A name in ``NAMED_ARCHS``.
        out: The file to write, by default ``./<folder>_<task>.py``. Lists and repaired copies get its name
            and an ending.
        weights: A file of backbone weights, ``'none'`` for random ones; by default those of the config that
            is inherited.
        overwrite: Whether a file that is there may be written over.

    Raises:
        ConfigError: an argument is wrong, the folder holds no data that can be read, or data of several
            kinds and no ``task``.
    """
    if task is not None and task not in TASKS:
        raise ConfigError(key='--task', value=task, expected=f'one of {", ".join(TASKS)}')
    if arch not in NAMED_ARCHS:
        raise ConfigError(key='--arch', value=arch, expected=f'one of {", ".join(NAMED_ARCHS)}')
    if weights not in (None, 'none'):
        weights = str(Path(require_checkpoint(str(weights), key='--weights')).absolute())
    source = Path(data).resolve()
    if not source.exists():
        raise ConfigError(key='DATA', value=str(data), expected='a folder of data, or a COCO annotation file')
    path = require_file(out or f'{source.stem}_{task or "config"}.py', key='--out', ending='.py')
    if path.exists() and not overwrite:
        raise ConfigError(key='--out', value=str(path), expected='a file that is not there yet, or --force')
    found = _read(source, task, out=path)
    size, seen, bands = _image_size(found)
    recipe, base_arch = choose_recipe(found, arch)
    base_path = (shipped_configs_folder('hrnet_mm') / recipe.base.format(base_arch)).resolve()
    base = Config.fromfile(base_path)
    values, decided = TASKS[found.task](found, size, base)
    model, started = network(found, base, arch=arch, base_arch=base_arch, weights=weights)
    timing, planned = schedule(found, base, recipe)
    for key, more in (('model', model), ('train_dataloader', timing.pop('train_dataloader'))):
        values[key] = _merged(more, values[key])
    decided += read_bands(values, bands) if bands else []
    comment = f'# {found.task} on {found.root}, made by tools/make_config.py'
    inherited = os.path.relpath(base_path, path.parent.resolve())
    text = {'_base_': inherited, 'data_root': f'{found.root}/', **values, **timing}
    lines = [comment, *(f'{name} = {spelled(value)}' for name, value in text.items())]
    write_text(path, format_config(lines))
    notes = [*found.notes, ('inherited', base_path.name), ('images', seen), *decided, *started, *planned]
    shown = [f'{found.task}, found in {found.root}']
    shown += [f'  {name:9} {found.splits[name].words}' for name in _ORDER if name in found.splits]
    return MadeConfig(path, [*shown, *(f'  {topic:9} {text}' for topic, text in notes)], _training_size(path))


def _read(source: Path, task: str | None, *, out: Path) -> Data:
    """What a folder holds, for the task that is asked for or the one that it is for."""
    folder, coco = find_coco(source, out=out)
    pairs = find_pairs(folder) if source.is_dir() else {}
    classes = {} if task is None and (coco or pairs) else find_class_folders(folder)
    if task is None and coco and pairs:
        found = f'found COCO files ({", ".join([*coco][:3])}) and {len(pairs)} label maps'
        raise ConfigError(key='--task', value=task, expected=f'which of its data to learn: {found}')
    possible = [*tasks_of(coco), *(['seg'] if pairs else []), *(['cls'] if classes else [])]
    chosen = task or next(iter(possible), None)
    if chosen is None or chosen not in possible:
        raise ConfigError(key='DATA', value=str(source), expected=_wanted(folder, possible))
    others = [name for name in dict.fromkeys(possible) if name != chosen]
    if chosen == 'cls':
        data = read_class_folders(folder, classes, out=out)
    elif chosen == 'seg':
        data = (
            read_label_maps(folder, pairs, out=out)
            if pairs
            else read_coco_as_label_maps(folder, coco, out=out)
        )
    else:
        data = read_coco_data(folder, coco, task=chosen, out=out)
    if others and task is None:
        data.notes.append(('task', f'{chosen}; the data also serve --task {" or ".join(others)}'))
    return data


def _wanted(folder: Folder, possible: list[str]) -> str:
    """What a folder should hold, after what was found there."""
    kinds = Counter(PurePosixPath(file).suffix.lower() for file in folder.files).most_common(4)
    found = ', '.join(f'{count} x {suffix or "without suffix"}' for suffix, count in kinds) or 'nothing'
    if possible:
        return f'data for this --task; what was found there is for --task {" or ".join(possible)}'
    raw = False
    for file in folder.ending('.json')[:1]:  # the others are alike
        raw = '"shapes"' in (folder.root / file).read_text(errors='replace')
        try:
            problem = '' if read_coco(str(folder.root / file))['annotations'] else 'has no annotation'
        except UnreadableAnnotations as error:
            problem = str(error)
        found += f'; {file} {problem}' if problem and not raw else ''
    command = f'pip install labelme2coco; labelme2coco {folder.root} {folder.root}'
    hint = f"; these JSON files are labelme's own, a COCO file of them is made by: {command}" if raw else ''
    kinds_read = (
        'a COCO file with its images, images with label maps (in images and masks), or a folder per class'
    )
    return f'{kinds_read}; found {found}{hint}'


def _image_size(data: Data) -> tuple[tuple[int, int], str, Bands | None]:
    """Median width and height of images to train on, what to say of them, and their bands, if they have such.

    Raises:
        ConfigError: one of a sample of them cannot be read.
    """
    images = data.splits['train'].images
    sample = [data.root / image for image in random.Random(0).sample(images, min(_SAMPLE, len(images)))]
    bands = measure(sample, task=data.task) if any(map(needs_tifffile, sample)) else None
    headers = []
    for path in sample if bands is None else ():
        try:
            headers.append(read_header(path))
        except (OSError, ValueError) as error:
            expected = f'an image that PIL can read ({one_line(error)})'
            raise ConfigError(key='image', value=str(path), expected=expected) from error
    sizes = bands.sizes if bands else [header.upright_size for header in headers]
    sizes.sort(key=lambda size: size[0] * size[1])
    widths, heights = zip(*sizes, strict=True)
    words = ' to '.join(dict.fromkeys(f'{width}x{height}' for width, height in (sizes[0], sizes[-1])))
    if any(header.sixteen_bit for header in headers):
        words += ', more than 8 bits a channel: the loading step of the pipelines makes 8 of them'
    return (int(median(widths)), int(median(heights))), words, bands


def _merged(first: Values, second: Values) -> Values:
    """Both, the second over the first, dicts merged."""
    both = {**first, **second}
    for key in first.keys() & second.keys():
        if isinstance(first[key], dict) and isinstance(second[key], dict):
            both[key] = _merged(first[key], second[key])
    return both


def _training_size(path: Path) -> tuple[int, int]:
    cfg = Config.fromfile(path)
    for step in cfg.train_dataloader.dataset.pipeline:
        if step['type'] == 'Resize':
            return step['scale'][1], step['scale'][0]
    return shape_of(cfg)
