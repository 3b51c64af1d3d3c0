"""Draw the data, train and test one small HRNet for each task, and show what came out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config

from ..config.errors import ConfigError, one_line
from ..config.load import load_config
from ..data.loading import ImageLoader
from ..pictures.browse import spread
from ..pictures.canvas import captioned, page_of, write_image
from ..training.run import run_test, run_train
from ..utils import text_table
from .dataset import generate

_GAP, _TEXT = 16, 18  # pixels, of the overview


@dataclass(frozen=True, kw_only=True)
class DemoTask:
    """One task of the demo."""

    name: str  # what it is called in tables and folders
    config: str  # file name in configs/
    data: str  # folder of the drawn data that the config's data_root stands for
    metric: str  # its key, as the evaluator names it
    label: str  # the metric's name for people
    aim: float  # what a healthy run reaches, between 0 and 1
    scale: float = 1.0  # what the evaluator's value is multiplied by to lie between 0 and 1


class DemoResult(NamedTuple):
    """What one task reached on the val split."""

    task: DemoTask
    value: float
    seconds: float


DEMO_TASKS = (
    DemoTask(
        name='pose',
        config='hrnetv1_w18_small_v1_synthetic_192x144.py',
        data='coco',
        metric='coco/AP',
        label='keypoint AP (OKS 0.50:0.95)',
        aim=0.7,
    ),
    DemoTask(
        name='segmentation',
        config='hrnetv2_w18_small_v1_synthetic.py',
        data='cityscapes',
        metric='mIoU',
        label='mIoU',
        aim=0.7,
        scale=0.01,
    ),
    DemoTask(
        name='detection',
        config='hrnetv2p_w18_small_v1_faster_rcnn_synthetic.py',
        data='coco',
        metric='coco/bbox_mAP',
        label='box AP (IoU 0.50:0.95)',
        aim=0.5,
    ),
)


JOINT_CONFIG = 'hrnet_w18_small_v1_joint_synthetic.py'


def run_demo(
    out_dir: str | Path,
    *,
    config_dir: str | Path,
    tasks: Sequence[DemoTask] = DEMO_TASKS,
    train: int = 600,
    val: int = 48,
    seed: int = 0,
    iterations: int | None = None,
) -> tuple[list[DemoResult], Path]:
    """Run the demo.

    Args:
        out_dir: folder for data, checkpoints, logs and pictures.
        config_dir: the project's ``configs/``.
        tasks: which tasks, of ``DEMO_TASKS``.
        train: number of training scenes.
        val: number of validation scenes.
        seed: seed of the scenes.
        iterations: training iterations of each task, if not those of its config.

    Returns:
        One result per task, and the path of the overview picture.

    Raises:
        ConfigError: the scenes cannot be drawn there.
    """
    out_dir = Path(out_dir)
    _draw(out_dir, train=train, val=val, seed=seed)
    folders = {task.name: out_dir / 'pictures' / task.name for task in tasks}
    results = []
    for number, task in enumerate(tasks, start=1):
        print(f'[{number}/{len(tasks)}] {task.name}: {task.config}, random weights', flush=True)
        start = time.perf_counter()
        cfg = _config(Path(config_dir) / task.config, out_dir, task.name, task.data, iterations)
        metrics = run_test(cfg, run_train(cfg), show_dir=folders[task.name])
        results.append(DemoResult(task, metrics[task.metric] * task.scale, time.perf_counter() - start))
        print(f'      {task.label} {results[-1].value:.3f} in {results[-1].seconds:.0f} s', flush=True)
    return results, write_overview(out_dir / 'overview.png', folders)


def run_joint_demo(
    out_dir: str | Path,
    *,
    config_dir: str | Path,
    train: int = 600,
    val: int = 48,
    seed: int = 0,
    iterations: int | None = None,
) -> list[DemoResult]:
    """The demo's three tasks with one network; arguments and errors as of ``run_demo``.

    Returns:
        One result per task, each with the time of the whole run.
    """
    out_dir, start = Path(out_dir), time.perf_counter()
    _draw(out_dir, train=train, val=val, seed=seed)
    print(f'One network for {", ".join(task.name for task in DEMO_TASKS)}: {JOINT_CONFIG}, random weights')
    cfg = _config(Path(config_dir) / JOINT_CONFIG, out_dir, 'joint', '', iterations)
    metrics = run_test(cfg, run_train(cfg))
    seconds = time.perf_counter() - start
    values = ((task, metrics[f'{task.name}/{task.metric}'] * task.scale) for task in DEMO_TASKS)
    return [DemoResult(task, value, seconds) for task, value in values]


def _draw(out_dir: Path, *, train: int, val: int, seed: int) -> None:
    print(f'Drawing {train} + {val} street scenes in {out_dir / "data"}')
    try:
        generate(out_dir / 'data', train=train, val=val, seed=seed)
    except (ValueError, FileExistsError) as error:
        raise ConfigError(
            key='--out', value=str(out_dir), expected=f'a folder to draw scenes in ({one_line(error)})'
        ) from error


def _config(file: Path, out_dir: Path, name: str, data: str, iterations: int | None) -> Config:
    keys = 'train_cfg.max_iters', 'default_hooks.checkpoint.interval'
    return load_config(
        file,
        work_dir=out_dir / 'work_dirs' / name,
        data_root=out_dir / 'data' / data,
        options=None if iterations is None else dict.fromkeys(keys, iterations),
    )


def format_results(results: Sequence[DemoResult]) -> str:
    """The results as aligned text: task, metric, value, aim, time."""
    rows = [('task', 'metric', 'value', 'aim', 'time')]
    for task, value, seconds in results:
        rows.append((task.name, task.label, f'{value:.3f}', f'{task.aim:.1f}', f'{seconds:.0f} s'))
    return text_table(rows)


def write_overview(path: Path, folders: Mapping[str, Path], *, rows: int = 4) -> Path:
    """One picture of all tasks: a scene per row, truth and prediction side by side per task.

    Args:
        path: PNG file to write.
        folders: task name -> folder of truth-beside-prediction pictures, the same scenes in the same
            order of names in each.
        rows: number of scenes, spread evenly over those there are.

    Returns:
        ``path``.
    """
    columns, loader = [], ImageLoader()
    for name, folder in folders.items():
        files = sorted(folder.rglob('*.[jp][pn]g'))
        pictures = [loader.read(files[index]) for index in spread(len(files), rows)]
        columns.append([captioned(pictures[0], [name], size=_TEXT), *pictures[1:]])
    cells = [cell for row in zip(*columns, strict=False) for cell in row]
    write_image(path, page_of(cells, gap=_GAP, columns=len(columns)))
    return path
