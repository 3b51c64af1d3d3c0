"""``--show-dir``: a hook that writes a picture of every test image, truth beside prediction."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement

from ..registry import HOOKS, register_in_scope
from .coco_people import CocoPeople
from .pairs import Image, PairPainter, read_image, write_image

_SUFFIXES = frozenset({'.jpg', '.jpeg', '.png'})


@dataclass(frozen=True)
class _Shot:
    """One data sample on its way to the main process, with its pixels where it has no file."""

    name: str
    path: str | None
    image: Image | None
    sample: BaseDataElement


@register_in_scope(HOOKS)
class PairPicturesHook(Hook):
    """Write one picture per test image.

    Pictures lie in ``show_dir`` as the images lie in the data folder, sub-folders included, so
    that two images of one name stay two. Works in one process and in many: the others hand their
    data samples to the main process, which draws.

    Args:
        show_dir: Folder to write to.
    """

    priority = 'LOWEST'  # after everybody else: the copies made here are of the final samples

    def __init__(self, *, show_dir: str) -> None:
        self._show_dir = Path(show_dir)
        self._people: CocoPeople | None = None
        self._held: list[_Shot] = []
        self._unnamed = 0

    def before_test_epoch(self, runner: Runner) -> None:
        """Get ready to draw this test set."""
        loader = runner.test_dataloader
        self._painter = PairPainter(
            scope=runner.default_scope.scope_name, dataset_meta=loader.dataset.metainfo
        )
        self._root = getattr(loader.dataset, 'data_root', None) or ''
        self._people = CocoPeople.of_detections(loader.dataset)
        # Processes can have unequal numbers of batches; they can only meet while all have some.
        self._meetings = 0 if self._painter.merges else min(all_gather_object(len(loader)))
        self._held = []
        self._unnamed = 0

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Mapping[str, Any] | None = None,
        outputs: Sequence[BaseDataElement] | None = None,
    ) -> None:
        """Draw a batch, or hold it where an image may have more data samples to come."""
        inputs = (data_batch or {}).get('inputs', [])
        bgr = _is_bgr(runner)
        for index, sample in enumerate(outputs or []):
            self._held.append(self._shot(sample, inputs[index], bgr=bgr))
        if batch_idx < self._meetings:
            self._draw_held()

    def after_test_epoch(self, runner: Runner, metrics: Mapping[str, float] | None = None) -> None:
        """Draw what is still held."""
        self._draw_held()

    def _draw_held(self) -> None:
        """Bring the shots of all processes together, and draw one picture per image."""
        everyones = all_gather_object(self._held)
        self._held = []
        by_image: dict[str, list[_Shot]] = {}
        for shot in (shot for part in everyones for shot in part):
            by_image.setdefault(shot.name, []).append(shot)
        if is_main_process():
            for shots in by_image.values():
                self._write(shots)

    def _shot(self, sample: BaseDataElement, pixels: Any, *, bgr: bool) -> _Shot:
        path = sample.get('img_path')
        image = None if path else _as_image(pixels, bgr=bgr)
        name = picture_name(path, root=self._root) if path else self._number(sample)
        return _Shot(name, path, image, self._painter.lighten(sample))

    def _number(self, sample: BaseDataElement) -> str:
        """A name for an image that never was a file, as those of CIFAR."""
        self._unnamed += 1
        return f'{sample.get("sample_idx", self._unnamed - 1):06d}.png'

    def _write(self, shots: Sequence[_Shot]) -> None:
        first = shots[0]
        sample = self._painter.merge([shot.sample for shot in shots])
        if self._people is not None:
            sample.gt_instances = self._people.instances(sample.get('img_id'))
        image = first.image if first.path is None else read_image(first.path)
        assert image is not None  # a shot has a path or pixels
        write_image(self._show_dir / first.name, self._painter.draw(image, sample))


def picture_name(path: str, *, root: str) -> str:
    """Where the picture of an image goes below the folder of pictures.

    Args:
        path: The image file.
        root: The data folder.

    Returns:
        The image's path below ``root``, or, outside of it, its whole path without the leading
        slash; always a ``.jpg``, ``.jpeg`` or ``.png`` file.
    """
    relative = PurePath(os.path.relpath(path, root or '.'))
    if '..' in relative.parts:
        absolute = PurePath(os.path.abspath(path))
        relative = absolute.relative_to(absolute.anchor)
    return str(relative) if relative.suffix.lower() in _SUFFIXES else f'{relative}.png'


def _as_image(pixels: Any, *, bgr: bool) -> Image:
    """RGB ``(H, W, 3)`` from an input tensor ``(3, H, W)`` that was not normalized yet."""
    image = pixels.permute(1, 2, 0).cpu().numpy().astype(np.uint8)
    return np.ascontiguousarray(image[..., ::-1] if bgr else image)


def _is_bgr(runner: Runner) -> bool:
    """Whether the model turns its inputs from BGR to RGB, so that they come as BGR."""
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    return bool(getattr(getattr(model, 'data_preprocessor', None), 'to_rgb', False))
