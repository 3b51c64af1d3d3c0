"""Names and colours of what a network finds, from the data set that it was trained on."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATASETS

from ..config.paths import iter_datasets

Colour = tuple[int, int, int]  # red, green, blue

_GOLDEN = 0.618034  # of a turn from hue to hue keeps neighbours apart, however many there are
_STAGES = ('test', 'val', 'train')


@dataclass(frozen=True)
class Metadata:
    """How to call and colour classes or keypoints.

    Attributes:
        names: Of the classes, or of the keypoints in pose estimation.
        colours: Of the same.
        links: Pairs of keypoints that make a limb.
        link_colours: Of the limbs.
    """

    names: tuple[str, ...]
    colours: tuple[Colour, ...]
    links: tuple[tuple[int, int], ...] = ()
    link_colours: tuple[Colour, ...] = ()


def class_metadata(meta: Mapping[str, Any], *, count: int) -> Metadata:
    """Metadata of ``count`` classes; what the data set leaves open gets a number and a colour of its own."""
    classes = meta.get('classes')
    known = [classes] if isinstance(classes, str) else list(classes if classes is not None else ())
    names = [*known, *(f'class {index}' for index in range(len(known), count))][:count]
    return Metadata(tuple(map(str, names)), _colours(meta.get('palette'), count))


def pose_metadata(meta: Mapping[str, Any], *, count: int) -> Metadata:
    """Metadata of ``count`` keypoints; limbs only where the data set has just these keypoints."""
    by_number = meta.get('keypoint_id2name') or {}
    fits = len(by_number) == count
    names = tuple(str(by_number[index]) if fits else f'keypoint {index}' for index in range(count))
    links = [(int(a), int(b)) for a, b in meta.get('skeleton_links', ())] if fits else []
    return Metadata(
        names,
        _colours(meta.get('keypoint_colors') if fits else None, count),
        tuple(links),
        _colours(meta.get('skeleton_link_colors'), len(links)),
    )


def data_set_meta(cfg: Config, *, checkpoint_meta: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of the data set: from the checkpoint, or else from the config's data sets.

    Returns:
        ``metainfo`` as data sets have it, its keys in lower case; empty where nothing is known.
    """
    recorded = checkpoint_meta.get('dataset_meta')
    if recorded is None and 'CLASSES' in checkpoint_meta:  # as the packages wrote it before version 1
        recorded = {key: checkpoint_meta[key] for key in ('CLASSES', 'PALETTE') if key in checkpoint_meta}
    known = {key.lower(): value for key, value in dict(recorded or {}).items() if value is not None}
    has_looks = 'palette' in known or 'keypoint_id2name' in known
    return known if has_looks else _meta_in(cfg) | known


def _meta_in(cfg: Config) -> dict[str, Any]:
    """A config's ``metainfo`` over that of its data set's class; to build it would take its files."""
    scope = str(cfg.default_scope)
    import_module(f'{scope}.datasets')
    for _, dataset in iter_datasets(cfg, stages=_STAGES):
        kind = dataset.get('type')
        with DATASETS.switch_scope_and_registry(scope) as registry:
            known = kind if isinstance(kind, type) else registry.get(str(kind))
        meta = {**(getattr(known, 'METAINFO', None) or {}), **(dataset.get('metainfo') or {})}
        if meta:
            return _parsed(meta, scope=scope)
    return {}


def _parsed(meta: dict[str, Any], *, scope: str) -> dict[str, Any]:
    if scope != 'mmpose':
        return {key.lower(): value for key, value in meta.items()}
    from mmpose.datasets.datasets.utils import parse_pose_metainfo

    return dict(parse_pose_metainfo(meta))


def _colours(given: Any, count: int) -> tuple[Colour, ...]:
    """The given colours, and made ones where they end (mmdet's ``'random'`` is none at all)."""
    known: Sequence[Any] = () if given is None or isinstance(given, str) else list(given)
    own = [_colour(value) for value in known][:count]
    return (*own, *(_made(index) for index in range(len(own), count)))


def _colour(value: Any) -> Colour:
    red, green, blue = (int(part) for part in value)
    return red, green, blue


def _made(index: int) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(index * _GOLDEN % 1, 0.75, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)
