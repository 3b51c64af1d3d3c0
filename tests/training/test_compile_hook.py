"""The hook that compiles: the same outputs and names, by way of a graph."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.registry import HOOKS
from peers import assert_close, build_ours, images, scramble
from torch import nn

from hrnet_mm.config.errors import ConfigError
from hrnet_mm.training.hooks import CompileHook

pytestmark = pytest.mark.usefixtures('own_folder')


class _Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = scramble(build_ours()).eval()
        self.head = nn.Identity()


@pytest.mark.parametrize('step', ['before_train', 'before_test'])
def test_the_backbone_is_compiled_and_keeps_its_names(step: str) -> None:
    graphs: list[Any] = []

    def backend(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    torch.compiler.reset()
    model = _Model()
    names, x = list(model.state_dict()), images(dtype=torch.float32)
    with torch.no_grad():
        truth = model.backbone(x)
        hook = HOOKS.build(dict(type='hrnet_mm.CompileHook', options=dict(backend=backend)))
        getattr(hook, step)(SimpleNamespace(model=model))
        assert_close(tuple(model.backbone(x)), truth, rel=1e-5)
    assert len(graphs) == 1, 'one graph without a break'
    assert list(model.state_dict()) == names


def test_parts_must_be_named() -> None:
    for parts in ('backbone', ()):
        with pytest.raises(ConfigError, match=r"parts = .*expected names of the model's parts"):
            CompileHook(parts=parts)
