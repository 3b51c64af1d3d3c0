"""The OpenMMLab packages' own modules as the truth that ours are held to, and how to compare with them."""

from __future__ import annotations

import copy
import importlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.registry import DefaultScope, Registry
from torch import Tensor, nn

CODEBASES = ('mmpose', 'mmseg', 'mmdet', 'mmpretrain')


def stage(modules: int, block: str, blocks: Sequence[int], channels: Sequence[int]) -> dict:
    """One entry of ``extra`` in the packages' spelling."""
    lengths = dict(num_blocks=tuple(blocks), num_channels=tuple(channels))
    return dict(num_modules=modules, num_branches=len(channels), block=block, **lengths)


#: Every kind of part once: a bottleneck with and without a projection, repeated modules, 4 streams.
TINY: dict[str, Any] = dict(
    stage1=stage(1, 'BOTTLENECK', (2,), (8,)),
    stage2=stage(1, 'BASIC', (1, 2), (4, 8)),
    stage3=stage(2, 'BASIC', (1, 1, 1), (4, 8, 16)),
    stage4=stage(2, 'BASIC', (1, 1, 1, 1), (4, 8, 16, 32)),
)
TINY_CHANNELS = (4, 8, 16, 32)


def tiny(**stage4: Any) -> dict[str, Any]:
    """A fresh ``TINY``, with entries added to its stage 4."""
    extra = copy.deepcopy(TINY)
    extra['stage4'].update(stage4)
    return extra


def models_of(scope: str) -> Registry:
    """The ``MODELS`` registry of a package, filled."""
    importlib.import_module(f'{scope}.models')
    return importlib.import_module(f'{scope}.registry').MODELS


@contextmanager
def in_scope(scope: str | None) -> Iterator[None]:
    """Build as a config of that package would be built."""
    with DefaultScope.overwrite_default_scope(scope):
        yield


@contextmanager
def scopes_as_before() -> Iterator[None]:
    """Forget the scopes that were entered for good meanwhile."""
    before = DefaultScope._instance_dict.copy()
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)


def build_ours(scope: str | None = None, **kwargs: Any) -> nn.Module:
    """``HRNetBackbone`` as a config of ``scope`` gets it; ``TINY`` unless an architecture is given."""
    from hrnet_mm import HRNetBackbone

    if 'arch' not in kwargs:
        kwargs.setdefault('extra', tiny())
    with in_scope(scope):
        if scope is None:
            return HRNetBackbone(**kwargs)
        return models_of(scope).build(dict(type='HRNetBackbone', **copy.deepcopy(kwargs)))


def build_peer(scope: str, **kwargs: Any) -> nn.Module:
    """The package's own HRNet."""
    kwargs.setdefault('extra', tiny())
    with in_scope(scope):
        peer = models_of(scope).build(dict(type='HRNet', **copy.deepcopy(kwargs)))
    for_blocks = {k: v for k, v in kwargs.items() if k in ('conv_cfg', 'norm_cfg', 'with_cp')}
    if scope == 'mmpretrain' and for_blocks:
        _mend_layer1(peer, kwargs['extra']['stage1'], for_blocks)
    return peer


def _mend_layer1(peer: nn.Module, cfg: Mapping[str, Any], for_blocks: Mapping[str, Any]) -> None:
    """mmpretrain 1.2 forgets to hand these three arguments to its first stage; its own parts do it."""
    resnet = importlib.import_module('mmpretrain.models.backbones.resnet')
    block = {'BASIC': resnet.BasicBlock, 'BOTTLENECK': resnet.Bottleneck}[cfg['block']]
    out_channels = cfg['num_channels'][0] * resnet.get_expansion(block)
    peer.layer1 = resnet.ResLayer(
        block, cfg['num_blocks'][0], 64, out_channels, **copy.deepcopy(dict(for_blocks))
    )


def build_pair(scope: str, **kwargs: Any) -> tuple[nn.Module, nn.Module]:
    """Peer and ours from one config, only ``type`` changed, with the same random weights."""
    peer = scramble(build_peer(scope, **kwargs))
    ours = build_ours(scope, **kwargs)
    ours.load_state_dict(peer.state_dict(), strict=True)
    return peer, ours


def scramble(module: nn.Module, seed: int = 0) -> nn.Module:
    """Random weights and statistics at which no part is an identity and no activation dies out."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(like: Tensor, low: float, high: float) -> Tensor:
        return torch.empty(like.shape, dtype=like.dtype).uniform_(low, high, generator=generator)

    with torch.no_grad():
        for name, value in list(module.named_parameters()) + list(module.named_buffers()):
            if not value.is_floating_point():
                continue
            if name.endswith('running_var') or (name.endswith('weight') and value.ndim == 1):
                value.copy_(uniform(value, 0.5, 1.5))
            elif value.ndim == 1:
                value.copy_(uniform(value, -0.3, 0.3))
            else:
                bound = (3 / value[0].numel()) ** 0.5
                value.copy_(uniform(value, -bound, bound))
    return module


def images(n: int = 2, channels: int = 3, size: Sequence[int] = (64, 96), **kwargs: Any) -> Tensor:
    """Reproducible random images, requiring a gradient if asked to."""
    generator = torch.Generator().manual_seed(1)
    requires_grad = kwargs.pop('requires_grad', False)
    x = torch.randn(n, channels, *size, generator=generator, dtype=torch.float64).to(**kwargs)
    return x.requires_grad_(requires_grad)


def streams(
    channels: Sequence[int] = TINY_CHANNELS, size: Sequence[int] = (16, 24), n: int = 2, **kwargs: Any
) -> tuple[Tensor, ...]:
    """Random feature maps at strides 4, 8, ...; sizes are halved upwards, as the backbone does."""
    requires_grad = kwargs.pop('requires_grad', False)
    maps = []
    for i, c in enumerate(channels):
        generator = torch.Generator().manual_seed(i)
        x = torch.randn(n, c, *size, generator=generator, dtype=torch.float64).to(**kwargs)
        maps.append(x.requires_grad_(requires_grad))
        size = [-(-length // 2) for length in size]
    return tuple(maps)


def assert_close(ours: Any, truth: Any, *, rel: float, what: str = 'value') -> None:
    """Largest error at most ``rel`` times the truth's largest magnitude; nested containers too."""
    if isinstance(truth, Mapping):
        assert list(ours) == list(truth), what
        for key in truth:
            assert_close(ours[key], truth[key], rel=rel, what=f'{what} {key}')
    elif isinstance(truth, (list, tuple)):
        assert len(ours) == len(truth), what
        for i, (a, b) in enumerate(zip(ours, truth, strict=True)):
            assert_close(a, b, rel=rel, what=f'{what}[{i}]')
    elif truth is None:
        assert ours is None, what
    else:
        assert ours.shape == truth.shape, f'{what}: {tuple(ours.shape)} != {tuple(truth.shape)}'
        assert ours.dtype == truth.dtype, f'{what}: {ours.dtype} != {truth.dtype}'
        error = (ours - truth).abs().double().max().item()
        bound = rel * truth.abs().double().max().item()
        assert error <= bound, f'{what}: error {error:.2e} > {bound:.2e}'


def objective(outputs: Sequence[Tensor]) -> Tensor:
    """A scalar that weighs every element of every output differently."""
    total = outputs[0].new_zeros(())
    for i, y in enumerate(outputs):
        generator = torch.Generator().manual_seed(100 + i)
        weights = torch.randn(y.shape, generator=generator, dtype=torch.float64).to(y)
        total = total + (weights * y).sum()
    return total


def gradients(module: nn.Module, *inputs: Tensor) -> dict[str, Tensor | None]:
    """Gradients of ``objective`` by parameter name, and by ``input<i>`` for the inputs.

    One input goes in as it is, several as a tuple: a backbone's image, a neck's streams.
    """
    module.zero_grad()
    inputs = tuple(x.detach().clone().requires_grad_() for x in inputs)
    with warnings.catch_warnings():
        # the peers let torch choose the kind of checkpointing, and torch complains
        warnings.filterwarnings('ignore', message='.*use_reentrant')
        objective(module(inputs if len(inputs) > 1 else inputs[0])).backward()
    found = {name: parameter.grad for name, parameter in module.named_parameters()}
    return found | {f'input{i}': x.grad for i, x in enumerate(inputs)}


def modes(module: nn.Module) -> dict[str, bool]:
    """Which norms are in training mode, by name."""
    norms = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm)
    return {name: m.training for name, m in module.named_modules() if isinstance(m, norms)}


def learnable(module: nn.Module) -> dict[str, bool]:
    """Which parameters are to be trained, by name."""
    return {name: parameter.requires_grad for name, parameter in module.named_parameters()}
