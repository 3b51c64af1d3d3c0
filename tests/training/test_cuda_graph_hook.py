"""Training from CUDA graphs, by a stand-in for the capture: what is captured, replayed and left alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.optim import OptimWrapper
from peers import build_ours, scramble
from refusal import refuses
from torch import Tensor, nn

from hrnet_mm.config import load_config
from hrnet_mm.training import run_train
from hrnet_mm.training.cuda_graph_hook import CUDAGraphHook, TrainingGraphs, require_capturable


class Model(nn.Module):
    """A model as the packages build them: ``extract_feat`` is backbone and neck."""

    def __init__(self, **backbone: Any) -> None:
        super().__init__()
        self.backbone = scramble(build_ours(**backbone)).train()

    def extract_feat(self, image: Tensor) -> Any:
        return self.backbone(image)


class Captured:
    """As ``make_graphed_callables``: some steps in earnest to warm up, then one tensor for all gradients."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []
        self.replays = 0

    def __call__(self, features: Any, sample: tuple[Tensor], *, allow_unused_input: bool) -> Any:
        self.shapes.append(tuple(sample[0].shape))
        for _ in range(3):
            parameters = [p for p in features.parameters() if p.requires_grad]
            torch.autograd.grad([x.sum() for x in features(*sample)], parameters, allow_unused=True)
            torch.rand(3)

        def replay(image: Tensor) -> Any:
            self.replays += 1
            return features(image)

        return replay


def image(side: int = 32) -> Tensor:
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(side))


def steps(model: Model, *, count: int) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(count):
        sum(x.square().mean() for x in model.extract_feat(image(64).double())).backward()
        optimizer.step()
        optimizer.zero_grad()


def test_a_training_equals_one_without():
    plain, graphed = (Model(frozen_stages=2).double() for _ in range(2))
    graphed.load_state_dict(plain.state_dict())
    capture, state = Captured(), torch.get_rng_state()
    graphs = TrainingGraphs(graphed, shapes=4, capture=capture)
    steps(plain, count=3)

    def extract_feat(image: Tensor) -> Any:
        graphs.replayed = False  # each call is an iteration's first
        return graphs(image)

    graphed.extract_feat = extract_feat
    steps(graphed, count=3)
    assert torch.equal(state, torch.get_rng_state())
    assert (capture.shapes, capture.replays) == ([(2, 3, 64, 64)], 3)
    for key, value in plain.state_dict().items():
        # channels last sums in another order
        torch.testing.assert_close(graphed.state_dict()[key], value, rtol=1e-6, atol=1e-9)


def test_what_is_not_replayed():
    model, capture = Model(), Captured()
    graphs = TrainingGraphs(model, shapes=2, capture=capture)
    graphs(image())
    graphs(image())  # a second time in one iteration
    assert capture.replays == 1
    graphs.replayed = False
    with torch.no_grad():
        graphs(image())
    model.eval()
    graphs(image())
    model.train()
    for side in (64, 96, 128):  # more shapes than are captured
        graphs.replayed = False
        graphs(image(side))
    assert capture.shapes == [(2, 3, 32, 32), (2, 3, 64, 64)]
    assert capture.replays == 2


def test_a_capture_that_fails_trains_as_before():
    def refusing(*_: Any, **__: Any) -> Any:
        raise RuntimeError('CUDA out of memory')

    model = Model()
    graphs = TrainingGraphs(model, shapes=4, capture=refusing)
    assert len(graphs(image())) == len(model.extract_feat(image()))


def test_accumulated_gradients_leave_the_memory_of_the_graph():
    model = Model()
    hook = CUDAGraphHook()
    hook._graphs = TrainingGraphs(model, shapes=1, capture=Captured())
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.01), accumulative_counts=2)
    wrapper.initialize_count_status(model, 0, 4)
    runner = SimpleNamespace(optim_wrapper=wrapper)
    weight = model.backbone.conv1.weight
    static = torch.ones_like(weight)  # where each replay leaves its gradient
    weight.grad = static
    wrapper._inner_count = 1
    hook.after_train_iter(runner, 0)
    own = weight.grad
    static.fill_(5)  # the next replay
    assert own is not static and (own == 1).all()
    hook.after_train_iter(runner, 0)
    assert weight.grad is own, 'once for each step'


def test_what_cannot_be_captured_is_refused(monkeypatch: pytest.MonkeyPatch):
    refuses(lambda: require_capturable(nn.Linear(1, 1), None), 'model.type', 'Linear')
    recomputing = Model(with_cp=(2,))
    refuses(lambda: require_capturable(recomputing, recomputing), 'model.backbone.with_cp', 'recomputed')
    synchronised = Model(norm_cfg=dict(type='SyncBN'))
    require_capturable(synchronised, synchronised)
    monkeypatch.setattr('hrnet_mm.training.cuda_graph_hook.get_world_size', lambda: 2)
    refuses(lambda: require_capturable(synchronised, synchronised), 'norm_cfg', 'SyncBN')


def test_the_switch_trains_on_a_cpu_as_before(project: Any, tmp_path: Any):
    cfg = load_config(project('mmpretrain'), work_dir=tmp_path / 'run', cuda_graph=True)
    assert cfg.custom_hooks[-1] == {'type': 'hrnet_mm.CUDAGraphHook'}
    # a model without backbone is refused before its first step, on any device
    refuses(lambda: run_train(cfg), 'model.type', 'StepCounter')
