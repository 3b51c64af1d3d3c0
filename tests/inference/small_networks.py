"""Our small configs, smaller still, with random weights under which all four tasks find something."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from own_configs import CONFIGS, read_config
from torch import nn

from hrnet_mm.config.build import build_model, image_channels
from hrnet_mm.inference import Network, Outcome, infer


class Files(NamedTuple):
    """A network's config and checkpoint."""

    config: str
    checkpoint: str


Networks = Callable[[str], Files]


FOLDER = CONFIGS[0].parent
HEIGHT, WIDTH = 96, 160  # of the images


class Small(NamedTuple):
    """One network: its config in ``configs/``, what makes it small, and what its data set calls things."""

    config: str
    options: Mapping[str, Any]
    steps: Mapping[str, Mapping[str, Any]]  # type of a step of the test pipeline -> its arguments
    meta: Mapping[str, Any]


# UDP's refinement divides by the curvature of a peak: of random heatmaps it enlarges roundings to pixels
CODEC = {'type': 'MSRAHeatmap', 'input_size': (48, 64), 'heatmap_size': (12, 16), 'sigma': 2}
SMALL: Mapping[str, Small] = {
    'pose': Small(
        'hrnetv1_w18_small_v1_own_coco',
        {'codec': {'_delete_': True, **CODEC}, 'model.head.decoder': {'_delete_': True, **CODEC}},
        {'TopdownAffine': {'input_size': CODEC['input_size'], 'use_udp': False}},
        {},
    ),
    'segmentation': Small(
        'hrnetv2_w18_small_v1_own_masks',
        {},
        {'Resize': {'scale': (WIDTH // 2, HEIGHT // 2)}},
        {'classes': ('ground', 'person'), 'palette': [[60, 60, 60], [220, 20, 60]]},
    ),
    'detection': Small(
        'hrnetv2p_w18_small_v1_faster_rcnn_own_coco',
        {},
        {'Resize': {'scale': (WIDTH, HEIGHT)}},
        {'classes': ('person',), 'palette': [(220, 20, 60)]},
    ),
    'classification': Small(
        'hrnet_w18_small_v1_folder',
        {'model.head.num_classes': 7},
        {'ResizeEdge': {'scale': 72}, 'CenterCrop': {'crop_size': 64}},
        {'classes': tuple('ABCDEFG')},
    ),
}


def write_scene(path: Path, *, seed: int = 0, size: tuple[int, int] = (HEIGHT, WIDTH)) -> None:
    """Soft random blobs: noise of single pixels would average out inside a network."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 10, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC))


def write_network(
    task: str,
    folder: Path,
    *,
    options: Mapping[str, Any] | None = None,
    loader: Mapping[str, Any] | None = None,
) -> Files:
    """Write a config and a checkpoint, with the data set's names in it where ``SMALL`` has some.

    Args:
        task: A key of ``SMALL``.
        folder: Where to.
        options: Dotted keys of the config and their values, over those of ``SMALL``.
        loader: What is put over the pipeline's first step.
    """
    small = SMALL[task]
    cfg = Config(read_config(FOLDER / f'{small.config}.py').to_dict())
    cfg.merge_from_dict({**small.options, **(options or {})})
    for step in cfg.test_dataloader.dataset.pipeline:
        step.update(small.steps.get(step['type'], {}))
    cfg.test_dataloader.dataset.pipeline[0].update(loader or {})
    cfg.val_dataloader = cfg.test_dataloader
    config, checkpoint = folder / f'{task}.py', folder / f'{task}.pth'
    cfg.dump(config)
    model = _random_model(cfg)
    if task == 'detection':
        _tune_detector(model)
    if task == 'segmentation':
        _tune_segmentor(model)
    meta = {'dataset_meta': dict(small.meta)} if small.meta else {}
    torch.save({'meta': meta, 'state_dict': model.state_dict()}, checkpoint)
    return Files(str(config), str(checkpoint))


#: Vectors -> lowest and highest value. Most ReLUs stay open: otherwise roundings grow from layer to layer.
VECTORS = {'running_var': (0.5, 1.5), 'weight': (0.2, 0.6), 'bias': (0.2, 0.8)}


def _random_model(cfg: Config) -> nn.Module:
    """Random weights, with batch norms that took their statistics from images, as training leaves them."""
    model: Any = build_model(cfg)
    generator = torch.Generator().manual_seed(0)
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            bound = (3 / value[0].numel()) ** 0.5 if value.ndim > 1 else 0.3  # of unit gain
            ends = VECTORS.get(name.rpartition('.')[2]) if value.ndim < 2 else None
            low, high = ends or (-bound, bound)
            value.copy_(torch.empty(value.shape).uniform_(low, high, generator=generator))
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    batch = torch.randn(4, image_channels(model), 64, 96, generator=torch.Generator().manual_seed(0))
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    with torch.no_grad():
        features = model.backbone(batch)
        if getattr(model, 'neck', None) is not None:
            model.neck(features)
    for norm in norms:
        norm.eval()
    return model


@torch.no_grad()
def _tune_detector(model: Any) -> None:
    """Boxes are anchors, most of them people, with scores that lie well apart: roundings change no order."""
    for layer in (model.roi_head.bbox_head.fc_reg, model.rpn_head.rpn_reg):
        layer.weight.mul_(0.01)
        layer.bias.zero_()
    head = model.roi_head.bbox_head.fc_cls
    seen: list[torch.Tensor] = []
    hook = head.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    _test_step(model, 'mmdet', HEIGHT, WIDTH)
    hook.remove()
    person, _ = head.weight
    logits = seen[0] @ person
    head.weight[1], head.bias[1] = 0, 0
    head.weight[0] /= logits.std()
    head.bias[0] = 0.5 - logits.mean() / logits.std()


@torch.no_grad()
def _tune_segmentor(model: Any) -> None:
    """About half of the pixels to each class, at the median of the difference of their logits."""
    sample = _test_step(model, 'mmseg', 48, 80)
    logits = sample.seg_logits.data
    model.decode_head.conv_seg.bias[1] += (logits[0] - logits[1]).median()


def _test_step(model: Any, scope: str, height: int, width: int) -> Any:
    """What the model says of noise."""
    structures = import_module(f'{scope}.structures')
    kind = {'mmseg': 'SegDataSample', 'mmdet': 'DetDataSample'}[scope]
    shape = (height, width)
    meta = {'ori_shape': shape, 'img_shape': shape, 'pad_shape': shape, 'scale_factor': (1.0, 1.0)}
    image = torch.randint(
        0, 256, (image_channels(model), height, width), generator=torch.Generator().manual_seed(0)
    )
    batch = pseudo_collate([{'inputs': image, 'data_samples': getattr(structures, kind)(metainfo=meta)}])
    with DefaultScope.overwrite_default_scope(scope):
        (sample,) = model.test_step(batch)
    return sample


# --- Runs ------------------------------------------------------------------------------------------


def look(
    source: str,
    files: Files | list[Files],
    *,
    detector: Files | None = None,
    device: str = 'cpu',
    fast: bool = False,
    **options: Any,
) -> tuple[Outcome, dict[str, Any]]:
    """Run ``infer``, and read its JSON back."""
    how: dict[str, Any] = {'device': device, 'fast': fast}
    networks = [Network(*each, **how) for each in (files if isinstance(files, list) else [files])]
    if detector is not None:
        options['detector'] = Network(*detector, key='--detector', **how)
    outcome = infer(source, networks, **{'json': 'found.json', 'progress': False, **options})
    return outcome, json.loads(Path('found.json').read_text())


def numbers(entry: Any) -> np.ndarray:
    """All numbers of a JSON value, in order."""
    if isinstance(entry, dict):
        entry = [value for value in entry.values() if not isinstance(value, str)]
    if isinstance(entry, list):
        return np.concatenate([np.zeros(0), *map(numbers, entry)])
    return np.array([entry], float)
