"""A peer's network and ours with the same weights, ready to meet on the same inputs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from mmengine.registry import MODELS, DefaultScope
from torch import Tensor, nn

from hrnet_mm.checkpoints import Checkpoint, load_weights
from hrnet_mm.models.arch import NAMED_ARCHS
from hrnet_mm.utils import quiet

from .drivers import Driver
from .request import Request

_CALIBRATION_SIZE = (128, 128)


@dataclass(frozen=True)
class Entrant:
    """A network before anything is done to speed it up.

    Attributes:
        name: ``ours``, or the peer's or mark's.
        module: on the request's device, in whatever mode.
        driver: how to use it.
    """

    name: str
    module: nn.Module
    driver: Driver


@dataclass(frozen=True)
class Match:
    """Ours against one peer, with marks beside them.

    Attributes:
        scope: MMEngine's scope while the match lasts.
        inputs: of all of them, float32.
    """

    scope: str | None
    inputs: tuple[Tensor, ...]
    peer: Entrant
    ours: Entrant
    marks: tuple[Entrant, ...] = ()

    @property
    def name(self) -> str:
        """The peer's."""
        return self.peer.name


Maker = Callable[[Request, str], Match]


def make_match(request: Request, peer: str) -> Match:
    """Build both sides of a match, with random weights that never change."""
    module = 'backbones' if request.what == 'backbone' else _MODULES[request.what]
    make: Maker = import_module(f'.{module}', __package__).MAKERS[request.what]
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(0)
        return make(request, peer)


#: ``--what`` -> the module that knows how.
_MODULES: Mapping[str, str] = {
    'hrfpn': 'necks',
    'v2': 'necks',
    'pose': 'whole_models',
    'seg': 'whole_models',
    'det': 'whole_models',
    'cls': 'whole_models',
}


def build(cfg: Mapping[str, Any], *, scope: str) -> nn.Module:
    """A module from its config, as a config of that scope gets it; the config stays as it is."""
    import_module(f'{scope}.models')
    with DefaultScope.overwrite_default_scope(scope):
        module: nn.Module = MODELS.build(copy.deepcopy(dict(cfg)))
    return module


def random_images(request: Request, *, calibration: bool = False) -> Tensor:
    """Images of the request's size and number, on its device; two small ones to calibrate norms on."""
    batch, size = (2, _CALIBRATION_SIZE) if calibration else (request.batch, request.shape)
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, 3, *size, generator=generator).to(request.device)


def copy_weights(source: nn.Module, target: nn.Module) -> None:
    """Weights of one layout into a model of another.

    Raises:
        RuntimeError: if some have no counterpart.
    """
    found = Checkpoint(source=type(source).__name__, state=dict(source.state_dict()), meta={}, left=())
    report = load_weights(target, found)
    if report.missing or report.unexpected or report.other_shape:
        raise RuntimeError(f'weights do not fit: {report}')


def extra_of(arch: str) -> dict[str, Any]:
    """An architecture as the peers spell it."""
    return {
        f'stage{number}': {
            'num_modules': stage.modules,
            'num_branches': len(stage.channels),
            'block': stage.block,
            'num_blocks': stage.blocks,
            'num_channels': stage.channels,
        }
        for number, stage in enumerate(NAMED_ARCHS[arch], start=1)
    }


def widths_of(arch: str) -> Sequence[int]:
    """Channels of an architecture's four streams."""
    return list(NAMED_ARCHS[arch][-1].out_channels)
