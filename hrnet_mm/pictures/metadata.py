"""Names and colours of classes and keypoints, from the data set that a network was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS

from ..config.codebases import CODEBASES
from ..config.paths import iter_datasets

Colour = tuple[int, int, int]  # red, green, blue

#: The label of pixels and boxes that neither training nor metrics count, as those of crowds.
IGNORED = -1
_GREY: Colour = (150, 150, 150)
_BACKGROUNDS = frozenset({'background', '_background_', 'unlabeled', 'unlabelled', 'void'})
_DARK = 48  # a colour with all channels below this would hide the photo
#: What photos are full of, and made colours keep away from: greys, skin, sky, leaves, earth.
_IN_PHOTOS = (
    *((grey,) * 3 for grey in (0, 70, 128, 190, 255)),
    *((220, 170, 140), (120, 170, 230), (80, 140, 50), (130, 90, 60)),
)
_LEAST_LIGHTNESS = 50  # of 100, in CIELAB: darker colours are lost on shadows and dark clothes
_STAGES = ('test', 'val', 'train')


@dataclass(frozen=True)
class Metadata:
    """How to call and colour classes or keypoints.

    Attributes:
        names: Of the classes, or of the keypoints in pose estimation; none where they are not known.
        colours: Of the same.
        links: Pairs of keypoints that make a limb.
        link_colours: Of the limbs.
    """

    names: tuple[str, ...] = ()
    colours: tuple[Colour, ...] = ()
    links: tuple[tuple[int, int], ...] = ()
    link_colours: tuple[Colour, ...] = ()

    def knows(self, label: int) -> bool:
        """Whether a label is a class's; where no class has a name, any may be."""
        return 0 <= label < (len(self.names) or label + 1)

    def name(self, label: int) -> str:
        """The class's name, or a note that there is no such class."""
        if label == IGNORED:
            return 'ignored'
        if not self.knows(label):
            return f'{label}: NO CLASS'
        return self.names[label] if self.names else f'class {label}'

    def colour(self, label: int) -> Colour:
        """The colour of a class or keypoint; of those beyond the known ones a colour of their own."""
        if label < 0:
            return _GREY
        return self.colours[label] if label < len(self.colours) else distinct_colours(label + 1)[label]

    def is_background(self, label: int) -> bool:
        """Whether the image is to be seen as it is where this class is."""
        named = self.name(label).lower() in _BACKGROUNDS
        return self.knows(label) and (named or max(self.colour(label)) < _DARK)


def metadata_of(meta: Mapping[str, Any], *, scope: str, count: int | None = None) -> Metadata:
    """Metadata of a data set of one codebase; ``count`` as for its own function below."""
    metadata: Metadata = CODEBASES[scope].function('metadata')(meta, count=count)
    return metadata


def class_metadata(meta: Mapping[str, Any], *, count: int | None = None) -> Metadata:
    """Metadata of classes.

    Colours are the data set's own where it has one for each class; others are made, far from each other:
    those that a data set of other classes left behind (COCO's eighty for one class of one's own), and those
    that mmseg draws at random for a data set without colours.

    Args:
        meta: ``metainfo``, with ``classes`` and ``palette`` where they are known.
        count: Of the classes; None for as many as have names. What is not known gets a number as its name.
    """
    known = meta.get('classes')
    known = [known] if isinstance(known, str) else list(known if known is not None else ())
    count = len(known) if count is None else count
    names = [*known, *(f'class {index}' for index in range(len(known), count))][:count]
    palette = _colours(meta.get('palette'))
    is_own = len(palette) == (len(known) or count) and palette != _random_palette_of_mmseg(len(palette))
    return Metadata(tuple(map(str, names)), _filled(palette if is_own else (), count))


def pose_metadata(meta: Mapping[str, Any], *, count: int | None = None) -> Metadata:
    """Metadata of keypoints; names, colours and limbs only where the data set has ``count``."""
    by_number = meta.get('keypoint_id2name') or {}
    count = len(by_number) if count is None else count
    meta = meta if len(by_number) == count else {}
    names = tuple(str(by_number[i]) if meta else f'keypoint {i}' for i in range(count))
    given = meta.get('skeleton_links')
    links = tuple((int(a), int(b)) for a, b in (given if given is not None else ()))
    colours = _filled(_colours(meta.get('keypoint_colors')), count)
    return Metadata(names, colours, links, _filled(_colours(meta.get('skeleton_link_colors')), len(links)))


def data_set_meta(cfg: Config, *, checkpoint_meta: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of the data set: from the checkpoint, or else from the config's data sets.

    Returns:
        ``metainfo`` as data sets have it, its keys in lower case; empty where nothing is known.
    """
    recorded = checkpoint_meta.get('dataset_meta')
    if recorded is None and 'CLASSES' in checkpoint_meta:  # as the packages wrote it before version 1
        recorded = {key: checkpoint_meta[key] for key in ('CLASSES', 'PALETTE') if key in checkpoint_meta}
    known = {key.lower(): value for key, value in dict(recorded or {}).items() if value is not None}
    is_enough = 'palette' in known or 'keypoint_id2name' in known
    return known if is_enough else _meta_in(cfg) | known


def _meta_in(cfg: Config) -> dict[str, Any]:
    """A config's ``metainfo`` over that of its data set's class; to build it would take its files."""
    scope = str(cfg.default_scope)
    import_module(f'{scope}.datasets')
    for _, dataset in iter_datasets(cfg, stages=_STAGES):
        kind = dataset.get('type')
        with DATASETS.switch_scope_and_registry(scope) as registry:
            known = kind if isinstance(kind, type) else registry.get(str(kind))
        usual, own = getattr(known, 'METAINFO', None) or {}, dataset.get('metainfo') or {}
        meta = {**usual, **own}
        if meta and CODEBASES[scope].task == 'pose':
            from mmpose.datasets.datasets.utils import parse_pose_metainfo

            return dict(parse_pose_metainfo(own or usual))  # in mmpose the one takes the other's place
        if meta:
            return {key.lower(): value for key, value in meta.items()}
    return {}


def _colours(given: Any) -> tuple[Colour, ...]:
    """Rows of three numbers as colours; none of what is none, as mmdet's ``'random'``."""
    rows = np.asarray([] if given is None or isinstance(given, str) else given)
    if rows.ndim != 2 or rows.shape[1] != 3:
        return ()
    return tuple((int(red), int(green), int(blue)) for red, green, blue in rows)


def _filled(given: tuple[Colour, ...], count: int) -> tuple[Colour, ...]:
    """The given colours, and made ones where they end."""
    return (*given, *distinct_colours(count)[len(given) :])[:count]


def _random_palette_of_mmseg(count: int) -> tuple[Colour, ...]:
    """What ``BaseSegDataset`` fills in where a data set has no colours."""
    return _colours(np.random.RandomState(42).randint(0, 255, size=(count, 3)))


@lru_cache(maxsize=64)
def distinct_colours(count: int) -> tuple[Colour, ...]:
    """Bright colours as far from each other as so many can be, and from those of photos.

    Each is the one farthest, in CIELAB, from all before it: fewer colours are the first of more.
    """
    axes = np.arange(0, 180, 4), np.arange(100, 256, 31), (165, 210, 255)
    hsv = np.stack([grid.ravel() for grid in np.meshgrid(*axes)], -1)[None].astype(np.uint8)
    rgb = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    lab, taken = (
        cv2.cvtColor(np.asarray(each, np.float32) / 255, cv2.COLOR_RGB2LAB)[0] for each in (rgb, [_IN_PHOTOS])
    )
    distance = np.linalg.norm(lab[:, None] - taken[None], axis=-1).min(axis=1)
    distance[lab[:, 0] < _LEAST_LIGHTNESS] = 0
    chosen: list[int] = []
    for _ in range(count):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(lab - lab[chosen[-1]], axis=-1))
    return _colours(rgb[0][chosen]) if chosen else ()
