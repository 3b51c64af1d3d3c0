"""TensorBoard's event files by one option or one line, and one line where it is not installed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mmengine.registry import VISUALIZERS, DefaultScope
from refusal import refuses
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tool_runs import in_process

from hrnet_mm.config.codebases import CODEBASES
from hrnet_mm.config.files import shipped_configs_folder
from hrnet_mm.config.load import load_config
from hrnet_mm.config.options import parse_options
from hrnet_mm.pictures.curves import read_run
from hrnet_mm.training.run import run_train

pytestmark = pytest.mark.usefixtures('own_folder')

ROOT = Path(__file__).resolve().parents[2]
OPTION = 'visualizer.vis_backends.0.type=LocalTensorboardVisBackend'
LINE = "visualizer = dict(vis_backends=[dict(type='LocalTensorboardVisBackend')])"
VISUALIZER = """
visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])
"""
#: Ours and the packages' own, one of each task.
CONFIGS = {
    'ours, pose': ROOT / 'configs/hrnetv1_w18_small_v1_own_coco.py',
    'ours, segmentation': ROOT / 'configs/hrnetv2_w18_small_v1_own_masks.py',
    'ours, detection': ROOT / 'configs/hrnetv2p_w18_small_v1_faster_rcnn_own_coco.py',
    'ours, classification': ROOT / 'configs/hrnet_w18_small_v1_folder.py',
    **{scope: shipped_configs_folder(scope) / '_base_/default_runtime.py' for scope in CODEBASES},
}


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard would draw."""
    events = EventAccumulator(str(folder))
    events.Reload()
    return {name: [(e.step, e.value) for e in events.Scalars(name)] for name in events.Tags()['scalars']}


@pytest.mark.parametrize('by_line', [False, True], ids=['option', 'line'])
@pytest.mark.parametrize('name', CONFIGS)
def test_scalars_go_into_both_files(name: str, by_line: bool, tmp_path: Path) -> None:
    child = tmp_path / 'child.py'
    child.write_text(f'_base_ = {str(CONFIGS[name])!r}\n' + (LINE if by_line else ''))
    cfg = load_config(child, options=parse_options([] if by_line else [OPTION]))
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        section = {**cfg.visualizer, 'name': f'{name}, {by_line}', 'save_dir': str(tmp_path / 'stamp')}
        visualizer = VISUALIZERS.build(section)
    visualizer.add_config(cfg)
    visualizer.add_scalars({'loss': 1.5, 'iter': 10}, step=10)
    visualizer.add_scalar('mIoU', 0.5, step=10)
    visualizer.close()
    assert scalars(tmp_path / 'stamp/vis_data') == {
        'loss': [(10, 1.5)],
        'iter': [(10, 10)],
        'mIoU': [(10, 0.5)],
    }
    assert [point.value for point in read_run(tmp_path).training['loss']] == [1.5]


def test_a_training_is_in_the_event_file(project: Callable[[str], Path], tmp_path: Path) -> None:
    config = project('mmpretrain')
    config.write_text(config.read_text() + VISUALIZER)
    run_train(load_config(config, work_dir=tmp_path / 'run', options=parse_options([OPTION])))
    (folder,) = (tmp_path / 'run').glob('*/vis_data')
    losses = scalars(folder)['loss']
    assert [step for step, _ in losses] == [1, 2, 3, 4]


@pytest.mark.parametrize('kind', ['LocalTensorboardVisBackend', 'TensorboardVisBackend'])
def test_without_tensorboard_one_line_says_what_to_install(
    kind: str,
    project: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, 'torch.utils.tensorboard', None)
    config = project('mmpretrain')
    config.write_text(config.read_text() + VISUALIZER)
    option = OPTION.replace('LocalTensorboardVisBackend', kind)
    assert in_process('train.py', config, '--cfg-options', option, monkeypatch=monkeypatch) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: visualizer.vis_backends = '{kind}': expected an installed tensorboard")
    assert line.endswith('pip install tensorboard')
    assert not list(Path('work_dirs').rglob('*.pth'))


def test_mim_is_told_as_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The packages' own tools build it without our checks."""
    monkeypatch.setitem(sys.modules, 'torch.utils.tensorboard', None)
    section = dict(
        type='Visualizer',
        name='of mim',
        save_dir=str(tmp_path),
        vis_backends=[dict(type='LocalTensorboardVisBackend')],
    )
    refuses(lambda: VISUALIZERS.build(section), 'visualizer.vis_backends', 'pip install tensorboard')
