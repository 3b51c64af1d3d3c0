"""The image size that a model's size is counted at: given, or read off its config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import Config

from ..config.codebases import CODEBASES
from ..config.errors import ConfigError
from ..config.joint import of_task, task_configs
from ..config.paths import type_name

Shape = tuple[int, int]

#: mmdet's configs bound the size of an image and leave it open; this is what the authors count at.
DETECTION_SHAPE: Shape = (800, 1216)


def require_shape(values: Sequence[Any]) -> Shape:
    """Height and width, in pixels, from what was typed.

    Raises:
        ConfigError: unless these are two positive whole numbers.
    """
    numbers = [int(value) for value in values if str(value).isdecimal()]
    if len(values) != 2 or len(numbers) != 2 or min(numbers) < 1:
        typed = ' '.join(map(str, values))
        raise ConfigError(
            key='--shape', value=typed, expected='height and width, two whole numbers from 1 up'
        )
    return numbers[0], numbers[1]


def shape_of(cfg: Config) -> Shape:
    """Height and width, in pixels, that the config prepares its images for.

    Raises:
        ConfigError: if it doesn't say.
    """
    codebase = CODEBASES.get(cfg.get('default_scope'))
    knows = codebase and 'shape' in codebase.functions
    shape: Shape | None = codebase.function('shape')(cfg) if codebase and knows else None
    if shape is None:
        raise ConfigError(
            key='--shape', value=None, expected='--shape H W, because the config names no image size'
        )
    return shape


def task_shapes(cfg: Config, shape: Shape | None = None) -> dict[str, Shape]:
    """Task -> height and width of its images, in pixels; of a model of one task under ``''``.

    Args:
        cfg: A config, of one task or several.
        shape: What is asked for, else the configs' own. Of several tasks it is that of whole images:
            top-down pose, which takes crops, has its own in any case.

    Raises:
        ConfigError: if a task's config doesn't say.
    """
    shapes: dict[str, Shape] = {}
    for task, view in task_configs(cfg).items():
        takes_crops = task and type_name(view.model.get('type')) == 'TopdownPoseEstimator'
        with of_task(task):
            shapes[task] = shape_of(view) if shape is None or takes_crops else shape
    return shapes


def pose_shape(cfg: Config) -> Shape | None:
    """The input size of the codec that decodes."""
    codec = (cfg.model.get('head') or {}).get('decoder') or cfg.get('codec')
    last = codec[-1] if isinstance(codec, list) and codec else codec
    size = last.get('input_size') if isinstance(last, Mapping) else None
    return None if size is None else (size[1], size[0])


def segmentation_shape(cfg: Config) -> Shape | None:
    """The crops of training."""
    size = (cfg.model.get('data_preprocessor') or {}).get('size') or cfg.get('crop_size')
    return None if size is None else (size[0], size[1])


def detection_shape(cfg: Config) -> Shape:
    """The same for all."""
    return DETECTION_SHAPE


def classification_shape(cfg: Config) -> Shape | None:
    """Crops of the test pipeline, or of the training pipeline where images are not cropped for tests."""
    for loader in ('test_dataloader', 'train_dataloader'):
        pipeline = ((cfg.get(loader) or {}).get('dataset') or {}).get('pipeline') or []
        crops = [step['crop_size'] for step in pipeline if 'crop_size' in step]
        if crops:
            size = crops[-1]
            return (size, size) if isinstance(size, int) else (size[0], size[1])
    return None
