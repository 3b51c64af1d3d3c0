"""Training from CUDA graphs against the same training without, from one seed."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.dist import init_dist
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from peers import images
from small_runs import ITERATIONS, train, training_state, write_project
from torch import Tensor, nn

from hrnet_mm import HRFPN, HRNetBackbone, HRNetV2Neck
from hrnet_mm.training.cuda_graph_hook import CUDAGraphHook

DEVICE = 'cuda'
STEPS = 20
CHANNELS = [16, 32, 64, 128]


class Model(nn.Module):
    """Backbone, neck and a loss of a size that half precision holds."""

    def __init__(self, neck: nn.Module | None, **backbone: Any) -> None:
        super().__init__()
        self.backbone = HRNetBackbone('w18_small_v1', multiscale_output=True, **backbone)
        self.neck = neck

    def extract_feat(self, image: Tensor) -> Any:
        maps = self.backbone(image)
        return maps if self.neck is None else self.neck(maps)

    def forward(self, image: Tensor) -> Any:
        return sum(torch.tanh(0.1 * maps).square().mean() for maps in self.extract_feat(image))


class Runner:
    """As much of MMEngine's as the hook asks for."""

    def __init__(self, model: nn.Module, wrapper: OptimWrapper) -> None:
        self.model, self.optim_wrapper = model, wrapper


def trained(model: nn.Module, hook: CUDAGraphHook | None, *, amp: Any = None, accumulated: int = 1) -> Any:
    """The weights after some steps on images of two sizes."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    amps = dict(accumulative_counts=accumulated)
    wrapper = (
        OptimWrapper(optimizer, **amps)
        if amp is None
        else AmpOptimWrapper(dtype=amp, optimizer=optimizer, **amps)
    )
    wrapper.initialize_count_status(model, 0, STEPS)
    runner: Any = Runner(model, wrapper)
    if hook is not None:
        hook.before_train(runner)
    losses, dtype = [], next(model.parameters()).dtype
    for step in range(STEPS):
        if hook is not None:
            hook.before_train_iter(runner, step)
        x = images(2, size=(96, 64) if step % 3 else (64, 128), dtype=dtype).to(DEVICE)
        with wrapper.optim_context(model):
            loss = model(x * (1 + step / STEPS))
        wrapper.update_params(loss)
        losses.append(loss.detach())
        if hook is not None:
            hook.after_train_iter(runner, step)
    if hook is not None:
        assert len(hook._graphs._graphs) == 2 and None not in hook._graphs._graphs.values()
        hook.after_train(runner)
    return torch.stack(losses), model.state_dict()


def neck(name: str) -> nn.Module | None:
    return {'none': None, 'v2': HRNetV2Neck(CHANNELS), 'v2p': HRFPN(CHANNELS, 32)}[name]


@pytest.mark.parametrize(
    ('with_neck', 'backbone', 'how'),
    [
        ('none', {}, {}),
        ('v2', {}, {}),
        ('v2p', {}, {}),
        ('none', {'frozen_stages': 2}, {}),
        ('v2', {}, {'accumulated': 2}),
        ('v2', {}, {'amp': 'float16'}),
        ('v2p', {}, {'amp': 'bfloat16', 'accumulated': 2}),
    ],
    ids=str,
)
def test_twenty_steps_equal(with_neck: str, backbone: dict[str, Any], how: dict[str, Any]):
    plain = Model(neck(with_neck), **backbone)
    plain.backbone.init_weights()
    # in float64 what differs by rounding stays apart by no more over twenty steps
    plain.train().to(DEVICE, torch.float32 if 'amp' in how else torch.float64)
    graphed = copy.deepcopy(plain)
    losses, weights = trained(plain, None, **how)
    graphed_losses, graphed_weights = trained(graphed, CUDAGraphHook(), **how)
    torch.testing.assert_close(graphed_losses, losses, rtol=0.05 if 'amp' in how else 1e-8, atol=0)
    if 'amp' not in how:
        torch.testing.assert_close(graphed_weights, weights, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize('task', ITERATIONS)
def test_whole_runs_of_three_packages(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With EMA, the stop at NaN, exact resume and validation, as the configs have them."""
    monkeypatch.chdir(tmp_path)
    config = write_project(tmp_path, task)
    plain = training_state(train(config, tmp_path / 'plain'))
    hook = "custom_hooks += [dict(type='hrnet_mm.CUDAGraphHook', shapes=8)]"
    config.write_text(f'{config.read_text()}\n{hook}\n')
    graphed = training_state(train(config, tmp_path / 'graphed'))
    assert plain.keys() == graphed.keys()
    losses = [name for name in plain if name.startswith('train/loss')]
    assert losses
    for name in losses:
        first, again = plain[name][:5], graphed[name][:5]
        torch.testing.assert_close(again, first, rtol=0.02, atol=1e-4)


def test_distributed_on_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, value in dict(RANK='0', WORLD_SIZE='1', LOCAL_RANK='0', MASTER_ADDR='127.0.0.1').items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv('MASTER_PORT', '29617')
    monkeypatch.chdir(tmp_path)
    config = write_project(tmp_path, 'segmentation')
    plain = training_state(train(config, tmp_path / 'plain'))
    hook = "custom_hooks += [dict(type='hrnet_mm.CUDAGraphHook')]"
    config.write_text(f"{config.read_text()}\n{hook}\nlauncher = 'pytorch'\n")
    init_dist('pytorch')
    try:
        graphed = training_state(train(config, tmp_path / 'graphed'))
    finally:
        torch.distributed.destroy_process_group()
    name = next(name for name in plain if name.startswith('train/loss'))
    torch.testing.assert_close(graphed[name][:5], plain[name][:5], rtol=0.02, atol=1e-4)
