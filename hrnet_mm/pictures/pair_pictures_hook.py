"""``--show-dir``: a hook that writes a picture of every test image, truth beside prediction."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import numpy as np
from mmengine.dist import all_gather_object, is_main_process
from mmengine.fileio import get_text
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement

from ..data.loading import ImageLoader
from ..registry import HOOKS, register_in_scope
from .canvas import Image, picture_name, write_image
from .metadata import metadata_of
from .painter import Layer, paint_pair
from .predictions import Poses, Prediction, TruthReader, prediction_of, together

_LEAST_SCORE = 0.3  # boxes and keypoints below it are left out


class _Shot(NamedTuple):
    """One data sample: where its picture goes, its image or the image's file, and what is drawn on it."""

    name: str
    image: Image | str
    image_id: Any
    truth: list[Prediction]
    prediction: Prediction


@register_in_scope(HOOKS)
class PairPicturesHook(Hook):
    """Write one picture per test image, truth and prediction side by side.

    Pictures lie in ``show_dir`` as the images lie in the data folder, sub-folders included, so
    that two images of one name stay two. Works in one process and in many: each draws its own images; of
    poses, which come one by one, maybe to different processes, the main one draws them all at the end.

    Args:
        show_dir: Folder to write to.
    """

    priority = 'LOWEST'  # after everybody else: what is read here is final

    def __init__(self, *, show_dir: str) -> None:
        self._show_dir = Path(show_dir)
        self._people_found: list[_Shot] = []

    def before_test_epoch(self, runner: Runner) -> None:
        """Get ready to draw this test set."""
        dataset = runner.test_dataloader.dataset
        self._scope = str(runner.default_scope.scope_name)
        self._loader = ImageLoader.of(runner.cfg)
        self._metadata = metadata_of(dataset.metainfo, scope=self._scope)
        self._root = getattr(dataset, 'data_root', None) or ''
        self._truths = TruthReader(dataset)
        is_detected = getattr(dataset, 'bbox_file', None)
        self._people = people_by_image(dataset.ann_file) if is_detected else None
        self._people_found = []

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Mapping[str, Any] | None = None,
        outputs: Sequence[BaseDataElement] | None = None,
    ) -> None:
        """Draw a batch, or hold it where an image may have more data samples to come."""
        inputs = (data_batch or {}).get('inputs', [])
        for sample, pixels in zip(outputs or (), inputs, strict=True):
            shot = self._shot(sample, pixels)
            if isinstance(shot.prediction, Poses):
                self._people_found.append(shot)
            else:
                self._draw(shot)

    def after_test_epoch(self, runner: Runner, metrics: Mapping[str, float] | None = None) -> None:
        """Bring the people of all processes together, and draw one picture per image."""
        by_image: dict[str, list[_Shot]] = {}
        for shot in chain.from_iterable(all_gather_object(self._people_found)):
            by_image.setdefault(shot.name, []).append(shot)
        if is_main_process():
            for shots in by_image.values():
                self._draw(self._merged(shots))

    def _shot(self, sample: BaseDataElement, pixels: Any) -> _Shot:
        path = sample.get('img_path')
        if path:
            name, image = picture_path(path, root=self._root), path
        else:  # an image that never was a file, as those of CIFAR
            name = f'{sample.get("sample_idx", 0):06d}.png'
            image = self._loader.visible(pixels.permute(1, 2, 0).cpu().numpy())
        found = prediction_of(sample, scope=self._scope)
        return _Shot(name, image, sample.get('img_id'), self._truths.on_image(sample), found)

    def _merged(self, shots: Sequence[_Shot]) -> _Shot:
        """One shot with the people of all those of an image."""
        count = len(self._metadata.names)
        found = [shot.prediction for shot in shots if isinstance(shot.prediction, Poses)]
        true = [truth for shot in shots for truth in shot.truth if isinstance(truth, Poses)]
        truth: list[Prediction] = [together(true, keypoints=count)] if true else []
        if self._people is not None:
            truth = [self._people.get(shots[0].image_id, together([], keypoints=count))]
        return shots[0]._replace(prediction=together(found, keypoints=count), truth=truth)

    def _draw(self, shot: _Shot) -> None:
        image = shot.image
        pair = paint_pair(
            self._loader.visible(self._loader.read(image)) if isinstance(image, str) else image,
            [Layer('truth', truth, self._metadata) for truth in shot.truth],
            [Layer('prediction', shot.prediction, self._metadata)],
            least_score=_LEAST_SCORE,
        )
        write_image(self._show_dir / shot.name, pair)


def people_by_image(ann_file: str) -> dict[Any, Poses]:
    """The annotated people of a COCO keypoint file by the image's id, for runs on detected boxes.

    With ``bbox_file`` set, as in most of mmpose's COCO configs, a data sample is a detected box with
    keypoints of zeros in place of the truth. The truth is still in the annotation file.
    """
    found: dict[Any, list[Poses]] = {}
    for annotation in json.loads(get_text(ann_file))['annotations']:
        if any(annotation.get('keypoints', ())):
            points = np.array(annotation['keypoints'], np.float64).reshape(1, -1, 3)
            person = Poses(points[..., :2], points[..., 2].clip(0, 1), None, np.full(1, np.nan))
            found.setdefault(annotation['image_id'], []).append(person)
    return {image: together(people, keypoints=0) for image, people in found.items()}


def picture_path(path: str, *, root: str) -> str:
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
    return picture_name(relative.as_posix())
