"""Curves are read right from logs written by hand, drawn as read, and refused in one line."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import pytest
import tiny_projects as tiny
from matplotlib.colors import to_hex
from refusal import refuses
from tool_runs import in_process

from hrnet_mm.config.load import load_config
from hrnet_mm.pictures.curves import Run, choose_panels, draw_curves, plot_logs, read_run
from hrnet_mm.training.run import run_train

ROOT = Path(__file__).resolve().parents[2]
Record = dict[str, Any]


def train(iteration: int, loss: float, *, epoch: int | None = None, **more: float) -> Record:
    place = {} if epoch is None else {'epoch': epoch}
    return {'lr': 0.1, 'loss': loss, 'time': 0.5, **more, **place, 'iter': iteration, 'step': iteration}


def validation(step: int, **metrics: float) -> Record:
    return {**metrics, 'data_time': 0.1, 'time': 0.2, 'step': step}


def write_log(
    folder: Path, records: Sequence[Record], *, stamp: str = '20260101_000000', tail: str = ''
) -> Path:
    file = folder / stamp / 'vis_data/scalars.json'
    file.parent.mkdir(parents=True)
    file.write_text(''.join(json.dumps(record) + '\n' for record in records) + tail)
    return folder


def curve(run: Run, key: str) -> list[tuple[int, float]]:
    return [(point.iteration, point.value) for point in run.curves[key]]


# reading


def test_a_run_by_epochs(tmp_path: Path) -> None:
    log = [
        train(10, 1.5, epoch=1),
        validation(1, mIoU=30.0),
        train(20, 1.0, epoch=2),
        validation(20, mIoU=40.0),  # by a LoggerHook that counts iterations
    ]
    run = read_run(write_log(tmp_path, log))
    assert curve(run, 'loss') == [(10, 1.5), (20, 1.0)]
    assert run.curves['mIoU'] == [(10, 1, 30.0), (20, 2, 40.0)]
    assert run.metrics == ['mIoU'] and set(run.curves) == {'lr', 'loss', 'time', 'mIoU'}


@pytest.mark.parametrize('steps', [(100, 200), (0, 0)], ids=['LoggerHook by iterations', 'by endless epochs'])
def test_a_run_by_iterations(steps: tuple[int, int], tmp_path: Path) -> None:
    log = [train(100, 2.0), validation(steps[0], mIoU=30.0), train(200, 1.0), validation(steps[1], mIoU=40.0)]
    run = read_run(write_log(tmp_path, log))
    assert run.curves['mIoU'] == [(100, None, 30.0), (200, None, 40.0)]


def test_a_resumed_run(tmp_path: Path) -> None:
    """Killed at 40 with a checkpoint of 20: 30 and 40 were done again, 20 was not."""
    losses = [train(i, float(i), epoch=i // 10) for i in (10, 20, 30, 40)]
    first = [*losses[:2], validation(2, AP=0.2), *losses[2:], validation(4, AP=0.4)]
    again = [train(30, 0.3, epoch=3), validation(3, AP=0.33)]
    write_log(tmp_path, again, stamp='20260102_000000')
    run = read_run(write_log(tmp_path, first))
    assert curve(run, 'loss') == [(10, 10.0), (20, 20.0), (30, 0.3)]
    assert curve(run, 'AP') == [(20, 0.2), (30, 0.33)]
    assert run.summary().endswith(': 2 logs, 30 iterations')


@pytest.mark.parametrize('tail', ['{"loss": 0.1, "it', '\0\0\0\0', '\n\n'])
def test_a_last_line_cut_off_is_no_error_and_one_before_is(tail: str, tmp_path: Path) -> None:
    run = read_run(write_log(tmp_path / 'a', [train(10, 1.0), train(20, 0.5)], tail=tail))
    assert curve(run, 'loss') == [(10, 1.0), (20, 0.5)]
    file = write_log(tmp_path / 'b', [train(10, 1.0)], tail='{"loss": \n{"loss": 1, "iter": 20}\n')
    refuses(lambda: read_run(file), 'line 2 = \'{"loss": \'', str(tmp_path))


def test_keys_with_a_hierarchy_and_values_that_are_none(tmp_path: Path) -> None:
    log = [
        {'train/loss': 1.0, 'train/lr': 0.1, 'train/note': 'x', 'train/on': True, 'iter': 10, 'step': 10},
        {'train/loss': math.nan, 'iter': 20, 'step': 20},
        {'val/AP': 0.5, 'val/loss': 3.0, 'step': 20},
    ]
    run = read_run(write_log(tmp_path, log))
    assert list(run.curves) == ['loss', 'lr', 'AP', 'val/loss']
    assert math.isnan(run.curves['loss'][1].value)
    assert curve(run, 'val/loss') == [(20, 3.0)]


# what MMEngine writes itself


def tiny_run(folder: Path, *, resume: bool = False, **options: Any) -> Run:
    """Train a toy segmentor whose mIoU is 100 on three images in batches of two."""
    tiny.write_masks(folder / 'data')
    config = folder / 'tiny.py'
    config.write_text(tiny.segmentation_config(folder / 'data'))
    options |= {'log_level': 'ERROR', 'train_cfg.val_interval': 1}
    run_train(load_config(config, work_dir=folder / 'work', resume=resume, options=options))
    return read_run(folder / 'work')


def test_a_real_run_and_its_resumption(tmp_path: Path) -> None:
    run = tiny_run(tmp_path)
    assert [iteration for iteration, _ in curve(run, 'loss')] == [1, 2, 3, 4]
    assert [(p.epoch, p.value) for p in run.curves['mIoU']] == [(1, 100.0), (2, 100.0)]
    for log in (tmp_path / 'work').glob('*_*/'):  # folders are named by the second
        log.rename(log.with_name('20200101_000000'))
    run = tiny_run(tmp_path, resume=True, **{'train_cfg.max_epochs': 3})
    assert [iteration for iteration, _ in curve(run, 'loss')] == [1, 2, 3, 4, 5, 6]
    assert [(p.iteration, p.epoch) for p in run.curves['mIoU']] == [(2, 1), (4, 2), (6, 3)]
    assert run.logs == 2


def test_a_real_run_by_iterations(tmp_path: Path) -> None:
    """Its LoggerHook counts epochs, as MMEngine's does unless told: each metric is logged at step 0."""
    loop = {'_delete_': True, 'type': 'IterBasedTrainLoop', 'max_iters': 3, 'val_interval': 1}
    endless = {'sampler.type': 'InfiniteSampler'}
    options = {f'train_dataloader.{key}': value for key, value in endless.items()}
    run = tiny_run(tmp_path, train_cfg=loop, log_processor={'by_epoch': False}, **options)
    assert curve(run, 'mIoU') == [(1, 100.0), (2, 100.0), (3, 100.0)]


# choosing and drawing


def test_what_is_drawn_unless_asked(tmp_path: Path) -> None:
    one = write_log(tmp_path / 'one', [train(1, 1.0, loss_kpt=1.0), validation(1, AP=0.1, AR=0.2)])
    two = write_log(tmp_path / 'two', [train(1, 1.0), validation(1, mIoU=50.0, loss=2.0)])
    runs = [read_run(one), read_run(two)]
    assert list(choose_panels(runs)) == ['loss', 'lr', 'AP', 'AR', 'mIoU', 'val/loss']
    assert list(choose_panels(runs, ['loss_kpt', 'mIoU', 'loss_kpt'])) == ['loss_kpt', 'mIoU']
    bare = write_log(tmp_path / 'bare', [{'grad_norm': 1.0, 'iter': 1, 'step': 1}]) / '20260101_000000'
    refuses(lambda: plot_logs([bare], out=tmp_path / 'c.png'), 'grad_norm')
    plot_logs([bare], out=tmp_path / 'c.png', keys=['grad_norm'])
    assert (tmp_path / 'c.png').is_file()


def test_related_metrics_share_a_panel_and_undefined_ones_are_left_out(tmp_path: Path) -> None:
    """COCO's evaluation gives -1 where there is nothing of a size."""
    names = ('mAP', 'mAP_50', 'mAP_s')
    boxes = {f'coco/bbox_{name}': value for name, value in zip(names, (0.3, 0.5, -1.0), strict=True)}
    pose = {'coco/AP': 0.5, 'coco/AP .5': 0.8, 'coco/AP (M)': -1, 'coco/AR': 0.6, 'coco/AR .75': 0.7}
    others = {'aAcc': 90, 'mIoU': 40, 'mAcc': 50, 'accuracy/top1': 70, 'accuracy/top5': 90, 'NME': 0.1}
    later = {'coco/bbox_mAP_s': -1.0, 'coco/AP (M)': -1.0, 'NME': -1.0}
    log = [train(1, 1.0), validation(1, **boxes, **pose, **others), train(2, 1.0), validation(2, **later)]
    panels = choose_panels([read_run(write_log(tmp_path, log))])
    assert list(panels.values())[2:] == [
        ['coco/bbox_mAP', 'coco/bbox_mAP_50'],
        ['coco/AP', 'coco/AP .5'],
        ['coco/AR', 'coco/AR .75'],
        ['aAcc', 'mIoU', 'mAcc'],
        ['accuracy/top1', 'accuracy/top5'],
        ['NME'],
    ]


def drawn(axes: Any) -> list[list[list[float]]]:
    """The curves of a panel, without the legend's empty ones."""
    return [line.get_xydata().tolist() for line in axes.lines if len(line.get_xydata())]


def test_the_figure_holds_the_logs_values(tmp_path: Path) -> None:
    epochs = [train(7, 2.0, epoch=1), validation(1, AP=0.1), train(14, 1.0, epoch=2), validation(2, AP=0.3)]
    others = [train(10, 3.0, epoch=1), validation(1, AP=0.2)]
    runs = [read_run(write_log(tmp_path / name, log)) for name, log in (('a', epochs), ('b', others))]
    figure = draw_curves(runs, {'loss': ['loss'], 'AP': ['AP']})
    loss, metric = figure.axes
    assert [axes.get_title(loc='left') for axes in (loss, metric)] == ['loss', 'AP']
    assert [axes.get_xlabel() for axes in (loss, metric)] == ['iteration', 'epoch']
    assert drawn(loss) == [[[7, 2.0], [14, 1.0]], [[10, 3.0]]]
    assert drawn(metric) == [[[1, 0.1], [2, 0.3]], [[1, 0.2]]]
    colours = [[line.get_color() for line in axes.lines] for axes in (loss, metric)]
    assert colours[0] == colours[1] and len(set(colours[0])) == 3, 'of both runs, and black in the legend'
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ['a', 'b']


def test_metrics_of_one_panel_are_told_apart(tmp_path: Path) -> None:
    logs = [[train(i, 1.0), validation(i, AP=0.1 * i, AR=0.2 * i)] for i in (1, 2)]
    runs = [read_run(write_log(tmp_path / str(i), log)) for i, log in enumerate(logs)]
    for some, count in ((runs[:1], 2), (runs, 4)):
        (axes,) = draw_curves(some, {'both': ['AP', 'AR']}).axes
        looks = {(line.get_color(), line.get_linestyle()) for line in axes.lines if len(line.get_xydata())}
        assert len(looks) == count
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ['AP', 'AR']


@pytest.mark.parametrize('value', [0.25, -2.0])
def test_a_lone_point_stands_in_a_panel_with_zero_and_its_value(value: float, tmp_path: Path) -> None:
    run = read_run(write_log(tmp_path, [train(50, 2.0), train(100, 1.0), validation(100, AP=value)]))
    (axes,) = draw_curves([run], {'AP': ['AP']}).axes
    low, high = axes.get_ylim()
    assert axes.get_xlim() == (0, pytest.approx(115)) and low <= min(0, value) < max(0, value) < high
    assert [text.get_text().strip() for text in axes.texts] == [f'{value:.4g}']
    assert axes.lines[-1].get_marker() == 'o' and axes.lines[-1].get_markersize() >= 5


def test_runs_of_one_name_are_told_apart_and_many_have_as_many_colours(tmp_path: Path) -> None:
    """A metric by epoch here and by iteration there is drawn over iterations."""
    write_log(tmp_path / 'x/same', [train(7, 2.0, epoch=1), validation(1, AP=0.1)])
    write_log(tmp_path / 'y/same', [train(50, 2.0), validation(50, AP=0.2)])
    runs = [read_run(tmp_path / folder) for folder in ('x/same', 'y/same')]
    figure = draw_curves(runs, {'AP': ['AP']})
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ['x/same', 'y/same']
    assert figure.axes[0].get_xlabel() == 'iteration'
    assert drawn(figure.axes[0]) == [[[7, 0.1]], [[50, 0.2]]]
    (axes,) = draw_curves(runs * 8, {'loss': ['loss']}).axes
    assert len({to_hex(line.get_color()) for line in axes.lines[1:]}) == 16


# the command


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_log(tmp_path / 'run', [train(10, 1.0), validation(10, mIoU=50.0)])
    out = tmp_path / 'new/curves.png'
    assert in_process('plot_log.py', run, '--out', out, monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out.splitlines() == [f'{run}: 1 log, 10 iterations', f'{out}: loss, lr, mIoU']
    picture = cv2.imread(str(out))
    assert picture is not None and (picture < 250).any()


def test_mistakes_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_log(tmp_path / 'run', [train(10, 1.0), validation(10, mIoU=50.0)])
    (tmp_path / 'empty').mkdir()
    blank = write_log(tmp_path / 'blank', [], tail='{"lo')
    out = tmp_path / 'c.png'
    commands: dict[tuple[object, ...], str] = {
        (tmp_path / 'gone',): 'expected an existing folder',
        (run, tmp_path / 'empty'): 'expected the work folder of a training, with <timestamp>/vis_data/',
        (blank,): 'expected a log with a record in it',
        (run, '--keys', 'loss', 'iou'): "--keys = 'iou': expected one of lr, loss, time, mIoU",
        (run, '--out', 'c.jpg'): "--out = 'c.jpg': expected a file name ending in .png",
    }
    for command, part in commands.items():
        assert in_process('plot_log.py', '--out', out, *command, monkeypatch=monkeypatch) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith('error: ') and part in line
    assert not out.exists()
