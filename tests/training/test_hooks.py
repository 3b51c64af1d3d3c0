"""Hooks that a config may switch on: compiling, the inference form, a progress bar, TensorBoard."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.model import MMDistributedDataParallel
from mmengine.registry import HOOKS, VISUALIZERS, DefaultScope
from peers import assert_close, build_ours, images, scramble
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tool_runs import in_process
from torch import nn

from hrnet_mm.config import CODEBASES, load_config, shipped_configs_folder
from hrnet_mm.deploy import FusedHRNet
from hrnet_mm.training.hooks import InferenceFormHook
from hrnet_mm.training.run import run_train

pytestmark = pytest.mark.usefixtures('own_folder')


def test_the_backbone_is_compiled_and_keeps_its_names() -> None:
    graphs: list[Any] = []

    def backend(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    torch.compiler.reset()
    model = nn.ModuleDict({'backbone': scramble(build_ours()).eval(), 'head': nn.Identity()})
    model.backbone = model['backbone']
    names, x = list(model.state_dict()), images(dtype=torch.float32)
    with torch.no_grad():
        truth = model.backbone(x)
        hook = HOOKS.build(dict(type='hrnet_mm.CompileHook', options=dict(backend=backend)))
        hook.before_test(SimpleNamespace(model=model))
        assert_close(tuple(model.backbone(x)), truth, rel=1e-5)
    assert len(graphs) == 1, 'one graph without a break'
    assert list(model.state_dict()) == names


@pytest.mark.parametrize('distributed', [False, True])
def test_the_inference_form_is_tested_and_the_model_put_back(distributed: bool) -> None:
    model = scramble(build_ours()).eval()
    runner: Any = SimpleNamespace(model=model)
    if distributed:
        runner.model = MMDistributedDataParallel.__new__(MMDistributedDataParallel)
        nn.Module.__init__(runner.model)
        runner.model.module = model
    hook = InferenceFormHook()
    hook.before_test(runner)
    assert isinstance(runner.model.module if distributed else runner.model, FusedHRNet)
    hook.after_test(runner)
    assert (runner.model.module if distributed else runner.model) is model


# --- TensorBoard


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard would draw."""
    events = EventAccumulator(str(folder))
    events.Reload()
    return {name: [(e.step, e.value) for e in events.Scalars(name)] for name in events.Tags()['scalars']}


@pytest.mark.parametrize('scope', CODEBASES)
def test_scalars_go_into_both_files(scope: str, tmp_path: Path) -> None:
    config = shipped_configs_folder(scope) / '_base_/default_runtime.py'
    section = load_config(config, tensorboard=True).visualizer
    with DefaultScope.overwrite_default_scope(scope):
        visualizer = VISUALIZERS.build({**section, 'name': scope, 'save_dir': str(tmp_path)})
    visualizer.add_scalars({'loss': 1.5, 'iter': 10}, step=10)
    visualizer.close()
    assert scalars(tmp_path / 'vis_data') == {'loss': [(10, 1.5)], 'iter': [(10, 10)]}
    assert '"loss": 1.5' in (tmp_path / 'vis_data/scalars.json').read_text()


def test_the_backend_of_old_configs_becomes_both(project: Callable[[str], Path]) -> None:
    config = project('mmpretrain')
    old = "visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalTensorboardVisBackend')])"
    config.write_text(f'{config.read_text()}\n{old}\n')
    both = load_config(config).visualizer.vis_backends
    assert [backend['type'] for backend in both] == ['LocalVisBackend', 'TensorboardVisBackend']


def test_a_training_is_in_the_event_file(project: Callable[[str], Path], tmp_path: Path) -> None:
    """Of a config without a visualizer."""
    run_train(load_config(project('mmpretrain'), work_dir=tmp_path / 'run', tensorboard=True))
    (folder,) = (tmp_path / 'run').glob('*/vis_data')
    assert [step for step, _ in scalars(folder)['loss']] == [1, 2, 3, 4]
    assert (folder / 'scalars.json').read_text().count('"loss"') == 4


def test_without_tensorboard_one_line_says_what_to_install(
    project: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, 'torch.utils.tensorboard', None)
    config = project('mmpretrain')
    assert in_process('train.py', config, '--tensorboard', monkeypatch=monkeypatch) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: visualizer.vis_backends = 'TensorboardVisBackend': expected an installed ")
    assert line.endswith('pip install tensorboard')
    assert not list(Path('work_dirs').rglob('*.pth'))
