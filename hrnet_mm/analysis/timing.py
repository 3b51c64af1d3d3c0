"""Time of inference, as it really runs here: networks side by side in interleaved rounds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from mmengine.config import Config
from tqdm import tqdm

from ..config.errors import ConfigError, one_line
from .running import build, empty_image

#: Enough for a median; a spread is printed with it.
ROUNDS = 5


@dataclass(frozen=True)
class Timing:
    """Seconds of one inference.

    Attributes:
        seconds: the median of all rounds.
        fastest: the shortest round.
        slowest: the longest round.
        shape: height and width of the image.
        device: what it ran on, in words.
    """

    seconds: float
    fastest: float
    slowest: float
    shape: tuple[int, int]
    device: str


def time_inference(
    cfgs: Sequence[Config],
    shapes: Sequence[tuple[int, int]],
    *,
    rounds: int = ROUNDS,
    progress: bool = False,
) -> list[Timing]:
    """Time the models of some configs on one image each, with random weights, one after the other in rounds.

    A load that comes and goes meets all of them. Detectors choose their boxes and cut out their RoIs too. One
    round in advance is not counted.

    Args:
        cfgs: configs of any of the four codebases.
        shapes: height and width of the image, per config.
        rounds: how often each one runs.
        progress: show a bar with the time that remains.

    Raises:
        ConfigError: if a model can't be built or run.
    """
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    runs = [_inference(cfg, shape, device) for cfg, shape in zip(cfgs, shapes, strict=True)]
    taken: list[list[float]] = [[] for _ in runs]
    with tqdm(total=(1 + rounds) * len(runs), desc='timing', unit='run', disable=not progress) as bar:
        for _ in range(1 + rounds):
            for seconds, run_once in zip(taken, runs, strict=True):
                seconds.append(_seconds_of(run_once, device))
                bar.update()
    return [
        Timing(median(kept), min(kept), max(kept), shape, device_name(device))
        for (_, *kept), shape in zip(taken, shapes, strict=True)
    ]


def device_name(device: torch.device) -> str:
    """The device in words."""
    if device.type == 'cuda':
        return str(torch.cuda.get_device_name(device))
    return f'CPU, {torch.get_num_threads()} threads'


def _inference(cfg: Config, shape: tuple[int, int], device: torch.device) -> Callable[[], Any]:
    model: Any = build(cfg, device=device)
    image = empty_image(model, shape)
    samples = [_blank_sample(shape)] if cfg.default_scope == 'mmdet' else None
    kind = type(model).__name__

    def infer() -> Any:
        try:
            with torch.inference_mode():
                return model(image, samples, mode='tensor')
        except Exception as error:  # anything a model may raise
            raise ConfigError(
                key='model.type', value=kind, expected=f'a model that can run ({one_line(error)})'
            ) from error

    return infer


def _blank_sample(shape: tuple[int, int]) -> Any:
    """What a detector must know of an image before it chooses boxes."""
    from mmdet.structures import DetDataSample

    sizes = dict.fromkeys(('img_shape', 'ori_shape', 'pad_shape', 'batch_input_shape'), shape)
    return DetDataSample(metainfo={**sizes, 'scale_factor': (1.0, 1.0)})


def _seconds_of(run_once: Callable[[], Any], device: torch.device) -> float:
    _wait_for(device)
    start = time.perf_counter()
    run_once()
    _wait_for(device)
    return time.perf_counter() - start


def _wait_for(device: torch.device) -> None:
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
