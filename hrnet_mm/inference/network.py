"""A network of any of the four packages with its weights, ready to be asked.

The packages' own inferencers stand in the way here: mmpose's looks at one image at a time and takes no boxes,
mmpretrain's needs the right scope to be set from outside and feeds CIFAR's networks blue first, mmseg's falls
over images of different sizes in a batch, and each draws, shows progress and names files in a way of its own.
So the networks are asked by ``test_step`` behind the test pipeline of their config, one way for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from ..config.errors import ConfigError, one_line
from ..config.model_check import check_model
from ..config.paths import type_name
from ..deploy import to_inference_form
from ..pictures.metadata import Metadata, class_metadata, data_set_meta, pose_metadata
from ..pictures.predictions import Prediction, prediction_of
from .plan import Plan, image_pipeline
from .sources import Picture
from .weights import load_checkpoint_into, read_weights


class Network:
    """A network with its weights, in eval mode on its device.

    Args:
        plan: Which network.
        device: As ``require_device`` gives it.
        fast: Ask the inference form (``hrnet_mm.to_inference_form``) instead of the model itself.

    Raises:
        ConfigError: if the config's model cannot be built, or the checkpoint is another model's.
    """

    def __init__(self, plan: Plan, *, device: str = 'cpu', fast: bool = False) -> None:
        self.plan = plan
        check_model(plan.cfg)
        weights = read_weights(plan.files.checkpoint, key=plan.files.key)
        self._meta = data_set_meta(plan.cfg, checkpoint_meta=weights.meta)
        with self._in_scope():
            model = _build(plan.cfg)
            load_checkpoint_into(model, weights, key=plan.files.key, config=plan.files.config)
            steps = image_pipeline(plan.cfg)
            self._pipeline = Compose([step for step in steps if not _is_loader(step)])
        self._loader = next((step for step in steps if _loads_image(step)), None)
        model = revert_sync_batchnorm(model)
        self._model = (to_inference_form(model) if fast else model).to(device)
        self._model.eval()
        # Data sets that load themselves, as CIFAR, keep their pictures red first.
        self._is_bgr = self._loader is not None or bool(getattr(model.data_preprocessor, 'to_rgb', False))
        self.metadata = self._find_metadata(model)

    def input_of(self, picture: Picture, **more: Any) -> dict[str, Any]:
        """What the pipeline makes of a picture: ``inputs`` and ``data_samples``."""
        image = np.ascontiguousarray(picture.image[..., ::-1]) if self._is_bgr else picture.image.copy()
        if self._loader is not None and self._loader.get('to_float32'):
            image = image.astype(np.float32)
        shape = picture.image.shape[:2]
        meta = self._meta if self.plan.task == 'pose' else {}
        loaded = {'img': image, 'img_path': picture.name, 'img_id': 0, 'img_shape': shape, 'ori_shape': shape}
        with self._in_scope():
            return dict(self._pipeline({**meta, **loaded, **more}))

    @torch.no_grad()
    def ask(self, inputs: Sequence[Mapping[str, Any]]) -> list[Prediction]:
        """What the network finds, for inputs from ``input_of``.

        Inputs of one size go through the network together. Others do not, so that nobody's result depends on
        the padding that its neighbours need.
        """
        by_size: dict[Any, list[int]] = {}
        for index, each in enumerate(inputs):
            by_size.setdefault(_sizes(each['inputs']), []).append(index)
        found: dict[int, Prediction] = {}
        for group in by_size.values():
            with self._in_scope():
                samples = self._model.test_step(pseudo_collate([inputs[index] for index in group]))
            found |= {i: prediction_of(s, scope=self.plan.scope) for i, s in zip(group, samples, strict=True)}
        return [found[index] for index in range(len(inputs))]

    @contextmanager
    def _in_scope(self) -> Iterator[None]:
        with DefaultScope.overwrite_default_scope(self.plan.scope):
            yield

    def _find_metadata(self, model: nn.Module) -> Metadata:
        make = pose_metadata if self.plan.task == 'pose' else class_metadata
        return make(self._meta, count=_outputs(model, meta=self._meta))


def _build(cfg: Config) -> Any:
    import_module(f'{cfg.default_scope}.datasets')  # transforms of the pipeline
    settings = cfg.model.copy()
    if cfg.get('data_preprocessor') is not None:
        settings.setdefault('data_preprocessor', cfg.data_preprocessor)
    try:
        return MODELS.build(settings)
    except Exception as error:  # building runs code of many packages, which fails in any way
        raise ConfigError(
            key='model',
            value=cfg.model.get('type'),
            expected=f'a model that can be built ({one_line(error)})',
        ) from error


def _outputs(model: nn.Module, *, meta: Mapping[str, Any]) -> int:
    """How many classes or keypoints a model tells apart."""
    heads = ('roi_head', 'bbox_head', 'decode_head', 'head')
    for head in (getattr(model, name, None) for name in heads):
        bbox_head = getattr(head, 'bbox_head', None)
        last = bbox_head[-1] if isinstance(bbox_head, nn.ModuleList) else bbox_head
        for part in (last, head[-1] if isinstance(head, nn.ModuleList) else head):
            for name in ('num_keypoints', 'num_classes', 'out_channels'):
                count = getattr(part, name, None)
                if isinstance(count, int):
                    return count
    return len(meta.get('keypoint_id2name') or meta.get('classes') or ())


def _is_loader(step: Mapping[str, Any]) -> bool:
    """Whether a step reads files: pictures are read already, and there is no truth to read."""
    return type_name(step['type']).startswith('Load')


def _loads_image(step: Mapping[str, Any]) -> bool:
    return type_name(step['type']).startswith('LoadImage')


def _sizes(inputs: Any) -> Any:
    return tuple(map(_sizes, inputs)) if isinstance(inputs, (list, tuple)) else tuple(inputs.shape)
