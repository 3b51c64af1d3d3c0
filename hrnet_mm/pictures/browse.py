"""What a config's pipeline feeds the network, drawn: a look at the data before a night of training."""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, DefaultScope
from mmengine.runner import set_random_seed
from torch import Tensor, nn
from tqdm import tqdm

from ..config.build import build_module
from ..config.codebases import CODEBASES, require_scope
from ..config.errors import ConfigError, one_line, refused
from ..config.files import require_folder
from ..config.joint import require_one_task
from ..config.paths import check_data, type_name
from ..data.images import pixel_limit
from ..utils import iter_dicts
from .canvas import Image, captioned, page_of, sizes_for, write_image
from .metadata import IGNORED, Metadata, metadata_of
from .painter import Layer, fill, paint
from .predictions import Classes, Labels, Poses, Prediction, TruthReader, innermost, loads_annotations

#: The splits that can be looked at: those that a training run reads.
SPLITS = ('train', 'val')
SHEET = 'contact_sheet.png'
_CELL, _SHEET_GAP = 320, 8  # pixels: the longest edge of a picture on the sheet, and between two
_HEAT = (255, 0, 200)  # mmpose's skeletons are blue, green and orange
#: Where a data set keeps the files of a sample.
_FILE_KEYS = ('img_path', 'seg_map_path')


class Dropped(Exception):
    """The pipeline gave nothing for a sample; training takes another one instead, at random."""


class Sample(NamedTuple):
    """One sample behind the data preprocessor.

    Attributes:
        image: What goes into the network, no longer normalised: (H, W, 3), uint8. Its first channel
            is drawn red, so a network that is fed BGR shows blue faces.
        truths: The annotations, in the image's coordinates.
        heatmaps: Targets of keypoints, (K, h, w) over the whole image; None where there are none.
    """

    image: Image
    truths: list[Prediction]
    heatmaps: npt.NDArray[np.float32] | None = None


@dataclass(kw_only=True)
class Browsed:
    """What was drawn.

    Attributes:
        sheet: The contact sheet; None where no sample could be drawn.
        pictures: One picture per sample that could be drawn.
        failures: One line per sample that could not be read.
        dropped: One line per sample for which the pipeline gave nothing.
        available: Samples in the split.
    """

    sheet: Path | None = None
    pictures: list[Path] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    available: int

    def summary(self) -> str:
        """One line."""
        tried = len(self.pictures) + len(self.failures) + len(self.dropped)
        parts = [f'{len(self.pictures)} of {tried} samples drawn', f'{self.available} in the split']
        parts += [f'{len(self.dropped)} dropped by the pipeline'] if self.dropped else []
        parts += [f'{len(self.failures)} FAILED'] if self.failures else []
        return ', '.join(parts)


def browse_samples(
    cfg: Config,
    *,
    split: str = 'train',
    count: int = 16,
    out_dir: str | Path | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Browsed:
    """Draw samples spread evenly over a split, as they come out of the data preprocessor.

    Pipeline and data preprocessor are those of the config, normalisation is undone, and every sample is
    a batch of its own: nothing is padded to, or mixed with, its neighbours. A sample that can't be read
    is told about, and the others go on.

    Args:
        cfg: A config, from ``load_config``. It is not changed.
        split: ``'train'`` or ``'val'``.
        count: How many samples, at most those there are.
        out_dir: Folder for the pictures. Left out: ``samples/<split>`` in the config's ``work_dir``.
        seed: Of what the pipeline leaves to chance, so that the same pictures come again.
        progress: Whether to show a bar.

    Raises:
        ConfigError: before anything is drawn, if an argument, the data or the config is off.
    """
    if count < 1:
        raise ConfigError(key='--count', value=count, expected='at least 1')
    source = SampleSource(cfg, split=split)
    folder = require_folder(out_dir or Path(cfg.work_dir) / 'samples' / split, key='--out-dir')
    set_random_seed(seed)
    indices = spread(len(source), count)
    browsed = Browsed(available=len(source))
    cells: list[Image] = []
    for index in tqdm(indices, desc=f'Drawing {split} samples', unit='sample', disable=not progress):
        files = source.files(index)
        place = f'sample {index}' + (f' ({", ".join(files)})' if files else '')
        try:
            with pixel_limit(cfg):
                sample = source.load(index)
        except Dropped:
            dropped = f'dropped {place}: the pipeline gave nothing; training takes another at random'
            browsed.dropped.append(dropped)
            tqdm.write(dropped)
        except Exception as error:  # data sets and transforms raise whatever they like
            browsed.failures.append(f'failed {place}: {one_line(error)}')
            tqdm.write(browsed.failures[-1])
        else:
            # The index first: of one image there may be many samples, and two images may share a name.
            name = '_'.join([f'{index:06d}', *(PurePath(file).stem for file in files[:1])])
            browsed.pictures.append(folder / f'{name}.png')
            title = ' '.join([str(index), *(PurePath(file).name for file in files[:1])])
            write_image(browsed.pictures[-1], draw_sample(sample, source.metadata, title))
            cells.append(draw_sample(sample, source.metadata, title, longest=_CELL))
    if cells:
        browsed.sheet = folder / SHEET
        columns = math.ceil(math.sqrt(len(indices)))
        write_image(browsed.sheet, page_of(cells, gap=_SHEET_GAP, columns=columns))
    return browsed


def spread(available: int, wanted: int) -> list[int]:
    """Indices spread evenly over what there is."""
    count = min(available, wanted)
    return [i * available // count for i in range(count)]


# --- Reading ------------------------------------------------------------------------------------------


class SampleSource:
    """The data set, pipeline and data preprocessor of one split.

    Three things differ from training. Each sample is a batch of its own, so that nothing is padded to
    its neighbours or mixed with them. Keypoints are packed as the pipeline moved them, too. In the
    validation split annotations are loaded before the image is resized, so that they lie on it.

    Args:
        cfg: A config, from ``load_config``. It is not changed.
        split: ``'train'`` or ``'val'``.

    Attributes:
        metadata: Names and colours of classes and keypoints, as the data set has them.

    Raises:
        ConfigError: if the split, its data or a part of the pipeline is missing or can't be built.
    """

    def __init__(self, cfg: Config, *, split: str) -> None:
        if split not in SPLITS:
            raise ConfigError(key='--split', value=split, expected=f'one of {", ".join(SPLITS)}')
        require_one_task(cfg)
        self._scope = require_scope(cfg)
        self._training = split == 'train'
        key = f'{split}_dataloader'
        if cfg.get(key) is None:
            raise ConfigError(key=key, value=None, expected=f'a section {key!r} to take samples from')
        # of this section alone: the data of others need not be there
        check_data(Config({key: cfg[key]}), command='train')
        with DefaultScope.overwrite_default_scope(self._scope):
            self._dataset = _build_dataset(cfg[key]['dataset'], key=key, training=self._training)
        self._preprocessor = _build_preprocessor(cfg, self._scope)
        self.metadata = metadata_of(getattr(self._dataset, 'metainfo', None) or {}, scope=self._scope)
        self._truths = TruthReader(self._dataset)

    def __len__(self) -> int:
        return len(self._dataset)

    def files(self, index: int) -> list[str]:
        """The files that a sample is read from, as far as the data set names them."""
        dataset, inner = innermost(self._dataset, index)
        record = dataset.get_data_info(inner) if hasattr(dataset, 'get_data_info') else {}
        return [str(record[key]) for key in _FILE_KEYS if record.get(key)]

    def load(self, index: int) -> Sample:
        """Read one sample.

        Raises:
            Dropped: if the pipeline gave nothing.
            Exception: whatever data set, pipeline and preprocessor raise.
        """
        with DefaultScope.overwrite_default_scope(self._scope):
            dataset, inner = innermost(self._dataset, index)
            # a data set itself would silently give another sample where the pipeline gives none
            prepare: Callable[[int], Any] = getattr(dataset, 'prepare_data', dataset.__getitem__)
            packed = prepare(inner)
            if packed is None:
                raise Dropped
            batch = self._preprocessor(pseudo_collate([packed]), self._training)
        annotation = batch['data_samples'][0]
        heat = (annotation.get('gt_fields') or {}).get('heatmaps')
        heat = heat[-1] if isinstance(heat, (list, tuple)) else heat  # the finest of several
        return Sample(
            image=_as_image(batch['inputs'][0], self._preprocessor),
            truths=self._truths.on_input(annotation),
            heatmaps=None if heat is None else np.asarray(heat, np.float32),
        )


def _build_dataset(section: Any, *, key: str, training: bool) -> Any:
    section = copy.deepcopy(section)
    for _, node in iter_dicts(section):
        if isinstance(node.get('pipeline'), (list, tuple)):
            node['pipeline'] = _edited(node['pipeline'], training=training)
    value = type_name(section.get('type'))
    with refused(f'{key}.dataset', value, expected='a data set that can be read'):
        dataset = DATASETS.build(section)
        if hasattr(dataset, 'full_init'):
            dataset.full_init()
    if not len(dataset):
        raise ConfigError(key=f'{key}.dataset', value=value, expected='at least one sample in it')
    return dataset


def _edited(pipeline: Sequence[Any], *, training: bool) -> list[Any]:
    """Keypoints packed as they were moved; for validation, annotations loaded right behind the image, so that
    whatever moves the image moves them too.
    """
    for step in pipeline:
        if isinstance(step, dict) and type_name(step.get('type')) == 'PackPoseInputs':
            step['pack_transformed'] = True
    if training:
        return list(pipeline)

    def order(step: Any) -> int:  # the image, annotations, the rest
        loads = isinstance(step, dict) and type_name(step.get('type')).startswith('Load')
        return 1 if loads_annotations(step) else 0 if loads else 2

    return sorted(pipeline, key=order)


def _build_preprocessor(cfg: Config, scope: str) -> nn.Module:
    model = cfg.get('model') or {}
    settings = dict(model.get('data_preprocessor') or cfg.get('data_preprocessor') or {})
    settings.setdefault('type', CODEBASES[scope].preprocessor)
    key, value = 'model.data_preprocessor', type_name(settings['type'])
    with refused(key, value, expected='a data preprocessor that can be built'):
        return build_module(settings, scope=scope)


def _as_image(inputs: Tensor, preprocessor: nn.Module) -> Image:
    """Undo the normalisation.

    Args:
        inputs: (C, H, W), of one or three channels.
        preprocessor: Holds ``mean`` and ``std`` if it normalises.

    Raises:
        ValueError: if that is no image.
    """
    if inputs.ndim != 3 or inputs.shape[0] not in (1, 3):
        raise ValueError(f'the input has shape {tuple(inputs.shape)}; expected (1 or 3, H, W) to draw it')
    pixels = inputs.detach().float()
    std: Any = getattr(preprocessor, 'std', None)
    if std is not None:
        pixels = pixels * std + preprocessor.mean
    values = pixels.round().clamp(0, 255).permute(1, 2, 0).numpy().astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(values, (*values.shape[:2], 3)))


# --- Drawing ------------------------------------------------------------------------------------------


def draw_sample(sample: Sample, metadata: Metadata, title: str = '', *, longest: int | None = None) -> Image:
    """Draw all that a sample has, under a caption that says it in words.

    Args:
        sample: From a ``SampleSource``.
        metadata: Names and colours.
        title: What the caption begins with.
        longest: Edge that a larger image is shrunk to first; None to keep it, or to enlarge a small one.
    """
    image, truths, old = sample.image, sample.truths, sample.image.shape[:2]
    caption = f'{title} {old[1]}x{old[0]}', '; '.join(describe(sample, metadata))
    if longest is not None and max(old) > longest:
        new = tuple(max(1, round(edge * longest / max(old))) for edge in old)
        image = np.asarray(cv2.resize(image, new[::-1], interpolation=cv2.INTER_AREA), np.uint8)
        truths = [truth.resized(old, new) for truth in truths]
    if sample.heatmaps is not None:
        image = image.copy()
        glow = cv2.resize(sample.heatmaps.max(axis=0), image.shape[1::-1])
        fill(image, glow > 0, [_HEAT], opacity=0.8 * glow.clip(0, 1))
    layers = [Layer('truth', truth, metadata) for truth in truths if not isinstance(truth, Classes)]
    drawn = paint(image, layers, least_score=0.0, enlarge_small=longest is None)
    return captioned(drawn, caption, size=sizes_for(drawn).text)


def describe(sample: Sample, metadata: Metadata) -> list[str]:
    """What a sample's annotations are, in words."""
    notes = []
    if sample.heatmaps is not None:
        notes.append(f'heatmaps with a target: {sum(bool(each.any()) for each in sample.heatmaps)}')
    edges = np.array(sample.image.shape[1::-1])  # width, height
    for truth in sample.truths:
        if isinstance(truth, Labels):
            known = sum(metadata.knows(label) for label in np.unique(truth.labels).tolist())
            notes.append(f'{known} of {len(metadata.names)} classes')
        elif isinstance(truth, Classes):
            notes.append('label: ' + (', '.join(map(metadata.name, truth.labels.tolist())) or 'none'))
        elif isinstance(truth, Poses):
            points = truth.keypoints[truth.scores > 0]
            inside = ((points > -0.5) & (points < edges - 0.5)).all(axis=-1).sum()
            notes.append(f'people: {len(truth.scores)}, keypoints in the picture: {inside} of {len(points)}')
        else:
            counted = truth.labels != IGNORED
            names = Counter(map(metadata.name, truth.labels[counted].tolist()))
            found = ', '.join(f'{count} {name}' for name, count in names.most_common())
            kind = 'boxes' if truth.masks is None else 'masks and boxes'
            notes.append(f'{kind}: {found or 0}')
            low, high = np.split(np.clip(truth.boxes[counted], 0, np.tile(edges, 2)), 2, axis=1)
            if empty := int((~(high > low)).any(axis=1).sum()):
                notes.append(f'{empty} EMPTY OR OUTSIDE')
    return notes or ['no annotation']
