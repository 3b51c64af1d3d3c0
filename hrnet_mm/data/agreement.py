"""Whether a model's heads and its data sets agree: classes, keypoints, sizes of crops and heatmaps.

A head of too many outputs trains without a word, and its metric fails after an epoch; of too few, it learns
one class as background. What a codebase's heads count stands in its record (``Codebase.head_sizes``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import nn

from ..config.codebases import CODEBASES, require_scope
from ..config.errors import ConfigError
from ..config.paths import iter_datasets, type_name
from ..utils import listed
from .sources import open_source

#: Parts of a model that tell classes apart by their names, of which there may be any number.
_READS_NAMES = ('language_model', 'text_encoder')
#: Models whose heads take or give other keypoints than the data set's (mmpose's lifters), and heads
#: whose classes are no data set's (edges of STDC, objects of region proposals).
_FREE_MODELS = ('PoseLifter',)
_FREE_HEADS = ('STDCHead', 'RPN')
#: Steps that change what a data set has.
_CONVERTERS = ('KeypointConverter',)
#: What two codecs have to share.
_CODEC_KEYS = ('type', 'input_size', 'heatmap_size', 'simcc_split_ratio')


def check_agreement(cfg: Config, model: nn.Module | None, *, stages: Sequence[str]) -> None:
    """Compare every head with the classes or keypoints of the data sets, and codecs with pipelines.

    What cannot be told is left alone: data sets of unknown classes, models that read class names.

    Args:
        cfg: A config.
        model: Its model, on any device; None where it can't be built without data.
        stages: Names among ``train``, ``val`` and ``test``.

    Raises:
        ConfigError: naming the head's key, its value, the number that the data set has, and its names.
    """
    codebase = CODEBASES[require_scope(cfg)]
    learned: list[str] = []
    with DefaultScope.overwrite_default_scope(codebase.scope):
        for stage in stages:
            if codebase.counted == 'keypoints':
                _check_codec(cfg, stage)
                _check_combined(cfg, stage)
            names = _names(cfg, stage, counted=codebase.counted) or []
            sizes = list(head_sizes(model)) if names and model is not None else []
            if sizes:
                _check_alike(cfg, stage, names, counted=codebase.counted)
            if sizes and codebase.counted == 'classes' and names != (learned := learned or names):
                expected = f'those of train_dataloader.dataset, in their order: {listed(learned)}'
                raise ConfigError(f'{stage}_dataloader.dataset, its classes', listed(names), expected)
            for key, value, count, more in sizes:
                if count - len(names) not in more:
                    what = f'the {codebase.counted} of {stage}_dataloader.dataset: {listed(names)}'
                    raise ConfigError(f'model.{key}', value, expected=f'{len(names) + more[-1]} for {what}')


def _check_alike(cfg: Config, stage: str, names: Sequence[str], *, counted: str) -> None:
    """Data sets that are joined call the same things by the same numbers; mmdet joins any."""
    section = cfg[f'{stage}_dataloader'].dataset
    for key, part in iter_datasets(cfg, stages=[stage]) if 'metainfo' not in section else ():
        own = _parsed_names(part, key, counted=counted, combines=False)
        if own and own != list(names):
            expected = f'those of the data sets that it is joined with, in their order: {listed(names)}'
            raise ConfigError(f'{key}, its {counted}', listed(own), expected=expected)


def head_sizes(model: Any) -> Iterator[tuple[str, Any, int, tuple[int, ...]]]:
    """Key, value, count and what may be added to it, of every head that counts classes or keypoints.

    The model is of the current default scope.
    """
    if type(model).__name__ in _FREE_MODELS or any(hasattr(model, name) for name in _READS_NAMES):
        return
    rules = CODEBASES[DefaultScope.get_current_instance().scope_name].head_sizes
    for name, module in model.named_modules():
        for rule in rules:
            kind = type(module).__name__
            if not re.fullmatch(rule.module, name) or any(free in kind for free in _FREE_HEADS):
                continue
            held = (attribute for attribute in rule.attribute.split('|') if hasattr(module, attribute))
            for attribute in list(held)[:1]:
                value = getattr(module, attribute)
                count = len(value) if isinstance(value, (list, tuple)) else value
                if isinstance(count, int) and not isinstance(count, bool):
                    yield f'{name.replace("loss_module", "loss")}.{attribute}', value, count, rule.more


def _names(cfg: Config, stage: str, *, counted: str) -> list[str] | None:
    """The classes or keypoints that a stage's data set ends up with; None where they are not known."""
    section = (cfg.get(f'{stage}_dataloader') or {}).get('dataset')
    if stage != 'train' and (cfg.model.get('test_cfg') or {}).get('output_keypoint_indices') is not None:
        return None  # the head learns more keypoints than these
    steps = [step for _, part in iter_datasets(cfg, stages=[stage]) for step in part.get('pipeline') or ()]
    converted = any(
        isinstance(step, Mapping) and type_name(step.get('type')) in _CONVERTERS for step in steps
    )
    while isinstance(section, Mapping) and 'metainfo' not in section:
        if isinstance(section.get('datasets'), Sequence):
            section = section['datasets'][0] if not converted and section['datasets'] else None
        elif isinstance(section.get('dataset'), Mapping):
            section = section['dataset']
        else:
            break
    if not isinstance(section, Mapping):
        return None
    combines = 'datasets' in section
    if converted and not combines:
        return None
    return _parsed_names(section, f'{stage}_dataloader.dataset', counted=counted, combines=combines)


def _parsed_names(section: Mapping[str, Any], key: str, *, counted: str, combines: bool) -> list[str] | None:
    if combines:
        if counted == 'classes':
            return None
        from mmpose.datasets.datasets.utils import parse_pose_metainfo

        metainfo: Mapping[str, Any] = parse_pose_metainfo(dict(section['metainfo']))
    else:
        source = open_source(key, section)
        metainfo = source.metainfo() if source is not None else {}
    if counted == 'keypoints':
        points = metainfo.get('keypoint_id2name') or {}
        return [str(points[number]) for number in sorted(points)]
    # heads of boxes know the things alone where a panoptic data set has stuff too
    return list(metainfo.get('thing_classes') or metainfo.get('classes') or ()) or None


def _check_combined(cfg: Config, stage: str) -> None:
    """What mmpose's ``CombinedDataset`` mixes has as many keypoints as itself, maybe by a converter."""
    section, key = (cfg.get(f'{stage}_dataloader') or {}).get('dataset'), f'{stage}_dataloader.dataset'
    if not isinstance(section, Mapping) or not {'metainfo', 'datasets'} <= section.keys():
        return
    names = _parsed_names(section, key, counted='keypoints', combines=True) or []
    for number, part in enumerate(section['datasets']):
        steps = [step for step in part.get('pipeline') or () if isinstance(step, Mapping)]
        converters = [step for step in steps if type_name(step.get('type')) in _CONVERTERS]
        own = _parsed_names(part, f'{key}.datasets.{number}', counted='keypoints', combines=False) or []
        count = converters[-1].get('num_keypoints') if converters else len(own)
        if own and count != len(names):
            expected = (
                f'{len(names)} keypoints, as {key}.metainfo has them ({listed(names)}); a KeypointConverter '
                'in its pipeline makes them so'
            )
            raise ConfigError(f'{key}.datasets.{number}', f'{count} keypoints', expected=expected)


def _check_codec(cfg: Config, stage: str) -> None:
    """The head decodes what the pipeline encodes, of crops as large."""
    head = cfg.model.get('head') if isinstance(cfg.model.get('head'), Mapping) else None
    decoder = (head or {}).get('decoder')
    if not isinstance(decoder, Mapping) or type_name(cfg.model.get('type')) == 'BottomupPoseEstimator':
        return  # models of whole images decode maps of any size
    for key, dataset in iter_datasets(cfg, stages=[stage]):
        for number, step in enumerate(dataset.get('pipeline') or ()):
            if not isinstance(step, Mapping):
                continue
            place, encoder = f'{key}.pipeline.{number}', step.get('encoder')
            if type_name(step.get('type')) == 'GenerateTarget' and isinstance(encoder, Mapping):
                pairs = {f'encoder.{name}': (encoder.get(name), decoder.get(name)) for name in _CODEC_KEYS}
            elif type_name(step.get('type')) == 'TopdownAffine':
                pairs = {'input_size': (step.get('input_size'), decoder.get('input_size'))}
            else:
                continue
            for name, (value, wanted) in pairs.items():
                if None not in (value, wanted) and not _same(value, wanted):
                    expected = f'{wanted!r}, as model.head.decoder.{name.removeprefix("encoder.")} has it'
                    raise ConfigError(f'{place}.{name}', value, expected=expected)


def _same(one: Any, other: Any) -> bool:
    with suppress(TypeError):
        return list(one) == list(other) if not isinstance(one, str) else type_name(one) == type_name(other)
    return bool(one == other or type_name(one) == type_name(other))
