"""A network of any of the four packages with its weights: images in, predictions out.

The packages' own inferencers stand in the way here: mmpose's looks at one image at a time and takes no boxes,
mmpretrain's needs the right scope to be set from outside and feeds CIFAR's networks blue first, mmseg's falls
over images of different sizes in a batch, and each draws, shows progress and names files in a way of its own.
So the networks are run by ``test_step`` behind the test pipeline of their config, one way for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DefaultScope

from ..checkpoints import Checkpoint
from ..config.build import build_trained, image_channels, read_weights
from ..config.codebases import CODEBASES, require_scope, task_scopes
from ..config.errors import ConfigError, refused
from ..config.files import require_checkpoint
from ..config.joint import task_config
from ..config.load import load_config
from ..config.model_check import check_model
from ..config.paths import iter_datasets, type_name
from ..data.agreement import head_sizes
from ..data.images import pixel_limit
from ..data.loading import ImageLoader, Pixels
from ..deploy import to_inference_form
from ..pictures.canvas import Image
from ..pictures.metadata import Metadata, data_set_meta, metadata_of
from ..pictures.painter import Layer, paint
from ..pictures.predictions import Poses, Prediction, prediction_of, together
from .joint import predict_tasks
from .lookup import carried_config, published_network

TOP_DOWN = 'TopdownPoseEstimator'
_POSE_MODELS = (TOP_DOWN, 'BottomupPoseEstimator')
#: People that go through a top-down network at a time, for each image of a batch: crops are small.
_PEOPLE_PER_IMAGE = 8

Loaded = dict[str, Any]  # an image as the loader of a pipeline leaves it
AnyBoxes = npt.NDArray[Any]  # (n, 4) or (n, 5)
Item = TypeVar('Item')


class Network:
    """A network with its weights.

    Config and paths are checked at once; the model is built and its weights are read by ``load``, or at the
    first prediction.

    Args:
        config: A config of any of the four packages: a file, a package's own by name (see ``find_config``),
            or what ``load_config`` made of one. Without ``checkpoint`` what brings both: a checkpoint that
            carries its config (see ``carried_config``), or the name of a model whose weights a package
            publishes, as ``'mmpose::td-hm_hrnet-w32_8xb64-210e_coco-256x192'`` (see ``published_network``).
        checkpoint: The weights: a path or URL, of any publisher.
        device: ``'cpu'``, ``'cuda'``, ``'cuda:1'``, or None for a GPU where there is one.
        fast: Use the inference form (``hrnet_mm.to_inference_form``): the same predictions, sooner.
        dtype: What backbone and neck of that form compute in: ``float32``, ``bfloat16`` or ``float16``.
        task: What the network must be for; None for any.
        key: The argument that named the network, for messages.

    Attributes:
        cfg: The config.
        config: Its path or name.
        checkpoint: The path or URL of the weights.
        tasks: Of a model of several tasks (``MultiTaskModel``), its name -> the network of one; else empty.
            What follows is said of a model of one.
        task: ``'pose'``, ``'segmentation'``, ``'detection'`` or ``'classification'``.
        is_top_down: Whether it looks at one person at a time, in a box.

    Raises:
        ConfigError: if the config or an argument is not usable.
    """

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path | None = None,
        *,
        device: str | None = None,
        fast: bool = False,
        dtype: str = 'float32',
        task: str | None = None,
        key: str = 'CHECKPOINT',
    ) -> None:
        self.key = key
        self._weights: Checkpoint | None = None  # read before the model is built
        if checkpoint is not None:
            self.cfg = config if isinstance(config, Config) else load_config(config)
        elif '::' in str(config):
            self.cfg, checkpoint = published_network(str(config), key=key)
        else:
            self.cfg, self._weights = carried_config(str(config), key=key)
            checkpoint = str(config)
        self.config = str(self.cfg.filename if isinstance(config, Config) else config)
        self.checkpoint = require_checkpoint(checkpoint, key=key)
        self._scope = require_scope(self.cfg)
        self._fast = fast
        self._dtype: torch.dtype = getattr(torch, dtype)
        self._device = require_device(device)
        self._model: Any = None
        self.joint: Network | None = None
        if not self.cfg.get('model'):
            raise ConfigError(key='model', value=None, expected=f'a model in {self.config}')
        self.tasks = {
            name: Network(task_config(self.cfg, name), self.checkpoint, device=device, key=key)
            for name in task_scopes(self.cfg)
        }
        for part in self.tasks.values():
            part.joint = self
        if not self.tasks:
            self._describe(task)

    def _describe(self, task: str | None) -> None:
        """Find out what a model of one task is for, and how its images are prepared."""
        kind = type_name(self.cfg.model.get('type'))
        self.task = CODEBASES[self._scope].task
        self.is_top_down = kind == TOP_DOWN
        if task not in (None, self.task):
            raise ConfigError(
                key=self.key, value=self.config, expected=f'a config for {task}, not for {self}'
            )
        if self.task == 'pose' and kind not in _POSE_MODELS:
            raise ConfigError(key='model.type', value=kind, expected=f'one of {", ".join(_POSE_MODELS)}')
        data_sets = iter_datasets(self.cfg, stages=('test', 'val'))
        self._steps = next((list(data['pipeline']) for _, data in data_sets if data.get('pipeline')), [])
        if not self._steps:
            raise ConfigError(
                key='test_dataloader.dataset.pipeline',
                value=None,
                expected='a test pipeline, to prepare images by',
            )

    def __str__(self) -> str:
        return f'{self.task} ({type_name(self.cfg.model.type)})'

    @cached_property
    def loader(self) -> ImageLoader:
        """What reads image files: the step of the config's own test pipeline."""
        return ImageLoader(self._steps, scope=self._scope)

    @property
    def metadata(self) -> Metadata:
        """Names and colours of the classes or keypoints."""
        self.load()
        metadata: Metadata = self._metadata
        return metadata

    def load(self) -> None:
        """Build the model and read its weights, unless that has been done.

        Raises:
            ConfigError: if the config's model cannot be built, or weights are missing.
            CheckpointError: if the checkpoint is unreadable or of another network.
        """
        if self.joint is not None:
            return self.joint.load()
        if self._model is not None:
            return
        check_model(self.cfg)
        weights = self._weights or read_weights(self.checkpoint, key=self.key)
        self._weights = None
        model: Any = build_trained(self.cfg, weights, key=self.key)
        form = to_inference_form(model, dtype=self._dtype) if self._fast else model
        self._use(form.to(self._device), channels=image_channels(model), meta=weights.meta)

    def _use(self, model: Any, *, channels: int, meta: Mapping[str, Any]) -> None:
        """Take a model that has its weights, and what their checkpoint says."""
        self._model = model
        model.eval()
        for name, part in self.tasks.items():
            own = (meta.get('dataset_meta') or {}).get(name)
            part._use(model.tasks[name], channels=channels, meta={'dataset_meta': own} if own else {})
        if self.tasks:
            return
        meta = data_set_meta(self.cfg, checkpoint_meta=meta)
        names = meta.get('keypoint_id2name') or meta.get('classes') or ()
        with DefaultScope.overwrite_default_scope(self._scope):
            count = next((count for _, _, count, _ in head_sizes(model)), len(names))
        self._metadata = metadata_of(meta, scope=self._scope, count=count)
        self._pipeline_meta = meta if self.task == 'pose' else {}
        # images come loaded, and without a truth to load
        steps = [step for step in self._steps if not type_name(step['type']).startswith('Load')]
        import_module(f'{self._scope}.datasets')  # has the transforms
        with DefaultScope.overwrite_default_scope(self._scope):
            self._pipeline = Compose(steps)
        self._channels = channels

    def predict(self, images: Any, *, boxes: Any = None, batch: int = 1) -> Any:
        """What the network finds in images, in pixels of each image.

        No prediction depends on the other images, whatever their sizes.

        Args:
            images: An image or a list of them, each a path, which is read as the config's test pipeline
                does, or an array: RGB ``(H, W, 3)`` in uint8, or what that pipeline's loader would give.
            boxes: Where a top-down pose network looks for people: for each image ``(n, 4)``, x1 y1 x2 y2 in
                its pixels, or ``(n, 5)`` with a score. None takes each image as one person.
            batch: Images that go through the network at a time; of top-down pose, eight people for each.

        Returns:
            For each image ``Poses``, ``Labels``, ``Boxes`` or ``Classes`` of
            ``hrnet_mm.pictures.predictions``. Poses of a top-down network are in the order of the boxes.
            Of a model of several tasks, task -> that: the backbone runs once for all whose pipelines make the
            same of the image, and top-down pose looks at the people that a detection task finds, if none are
            given.

        Raises:
            ConfigError: if an image cannot be read, or ``boxes`` do not go with the network; and as ``load``.
        """
        if not isinstance(images, (list, tuple)):
            return self.predict([images], boxes=None if boxes is None else [boxes], batch=batch)[0]
        if self.tasks:
            return predict_tasks(self, images, boxes=boxes, batch=batch)
        if boxes is not None and not self.is_top_down:
            raise ConfigError(
                key='boxes', value=len(boxes), expected=f'a top-down pose network with them, not {self}'
            )
        self.load()
        predictions: list[Prediction] = []
        where = [None] * len(images) if boxes is None else boxes
        for part in chunks(zip(images, where, strict=True), batch):
            with pixel_limit(self.cfg):
                loaded = [self.loader.load(image) for image, _ in part]
            if self.is_top_down:
                predictions += self._predict_people(loaded, [each for _, each in part], batch=batch)
            else:
                predictions += self._run([self._input(image) for image in loaded])
        return predictions

    def draw(self, image: str | Path | Pixels, prediction: Prediction, *, least_score: float = 0.3) -> Image:
        """A picture of what ``predict`` found in an image.

        Args:
            image: As for ``predict``. Of other than 8 bits it is stretched to be seen.
            prediction: What ``predict`` gave for it.
            least_score: Boxes and keypoints below are left out.

        Returns:
            RGB, uint8, a copy. Where the image's short edge is below 256 pixels it is enlarged first, by a
            whole number; a label map has a legend beside it.

        Raises:
            ConfigError: if the image cannot be read.
        """
        with pixel_limit(self.cfg):
            visible = self.loader.visible(self.loader.load(image)['img'])
        layer = Layer(self.task, prediction, self.metadata)
        return paint(visible, [layer], least_score=least_score)

    def _predict_people(
        self, images: Sequence[Loaded], boxes: Sequence[AnyBoxes | None], *, batch: int
    ) -> list[Poses]:
        def crops() -> Iterator[tuple[int, dict[str, Any]]]:
            for index, image in enumerate(images):
                height, width = image['img'].shape[:2]
                people = boxes[index]
                for box in [[0, 0, width, height]] if people is None else people:
                    score = box[4] if len(box) > 4 else 1.0
                    place = {
                        'bbox': np.array([box[:4]], np.float32),
                        'bbox_score': np.array([score], np.float32),
                    }
                    yield index, self._input(image, **place)

        found: list[list[Poses]] = [[] for _ in images]
        for part in chunks(crops(), batch * _PEOPLE_PER_IMAGE):
            for (index, _), poses in zip(part, self._run([crop for _, crop in part]), strict=True):
                assert isinstance(poses, Poses)  # of a pose network
                found[index].append(poses)
        return [together(each, keypoints=len(self.metadata.names)) for each in found]

    def _input(self, image: Loaded, **more: Any) -> dict[str, Any]:
        """What the pipeline makes of an image: ``inputs`` and ``data_samples``."""
        own = {**image, 'img': image['img'].copy()}  # steps may write into it
        name, size = image['img_path'] or image['img'].shape, 'x'.join(map(str, image['img'].shape[1::-1]))
        fits = refused('images', name, expected=f'an image that the test pipeline can resize, not {size}')
        with fits, DefaultScope.overwrite_default_scope(self._scope):
            made = dict(self._pipeline({**self._pipeline_meta, **own, **more}))
        if len(made['inputs']) != self._channels:
            expected = f'{self._channels} channels, as the model takes, not the {len(made["inputs"])}'
            raise ConfigError('images', name, expected=f'{expected} that {self.loader} gives')
        return made

    @torch.no_grad()
    def _run(self, inputs: Sequence[Mapping[str, Any]]) -> list[Prediction]:
        """Predictions for some inputs.

        Inputs of one size go through the network together. Others do not, so that no prediction depends on
        the padding that its neighbours need.
        """
        by_size: dict[Any, list[int]] = {}
        for index, each in enumerate(inputs):
            by_size.setdefault(_sizes(each['inputs']), []).append(index)
        predictions: dict[int, Prediction] = {}
        for group in by_size.values():
            with DefaultScope.overwrite_default_scope(self._scope):
                samples = self._model.test_step(pseudo_collate([inputs[index] for index in group]))
            for index, sample in zip(group, samples, strict=True):
                predictions[index] = prediction_of(sample, scope=self._scope)
        return [predictions[index] for index in range(len(inputs))]


def require_device(device: str | None) -> str:
    """The device to compute on.

    Args:
        device: ``'cpu'``, ``'cuda'``, ``'cuda:1'``, or None for a GPU where there is one.

    Raises:
        ConfigError: if there is no such device.
    """
    if device is None:
        return 'cuda' if torch.cuda.is_available() else 'cpu'
    expected = f'cpu, cuda or cuda:N; torch finds {torch.cuda.device_count()} GPUs'
    with refused('--device', device, expected=expected):
        torch.empty(0, device=device)
    return device


def chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of ``size`` items, and one of the rest."""
    iterator = iter(items)
    while part := list(islice(iterator, size)):
        yield part


def _sizes(inputs: Any) -> Any:
    return tuple(map(_sizes, inputs)) if isinstance(inputs, (list, tuple)) else tuple(inputs.shape)
