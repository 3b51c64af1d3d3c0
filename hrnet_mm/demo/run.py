"""Draw the data, train and test one small HRNet for each task, and show what came out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from ..config.errors import ConfigError, one_line
from ..config.load import load_config
from ..training.run import run_test, run_train
from .dataset import generate
from .picture import write_overview
from .tasks import TASKS, DemoTask, Result


def run_demo(
    out_dir: str | Path,
    *,
    config_dir: str | Path,
    tasks: Sequence[DemoTask] = TASKS,
    train: int = 600,
    val: int = 48,
    seed: int = 0,
    iterations: int | None = None,
) -> tuple[list[Result], Path]:
    """Run the demo.

    Args:
        out_dir: folder for data, checkpoints, logs and pictures.
        config_dir: the project's ``configs/``.
        tasks: which tasks, of ``TASKS``.
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
    print(f'Drawing {train} + {val} street scenes in {out_dir / "data"}')
    _draw(out_dir, train=train, val=val, seed=seed)
    results = []
    for number, task in enumerate(tasks, start=1):
        print(f'[{number}/{len(tasks)}] {task.name}: {task.config}, random weights', flush=True)
        results.append(_run_task(task, out_dir, Path(config_dir), iterations))
        print(f'      {task.label} {results[-1].value:.3f} in {results[-1].seconds:.0f} s', flush=True)
    overview = write_overview(
        out_dir / 'overview.png', {task.name: _pictures(out_dir, task) for task in tasks}
    )
    return results, overview


def _draw(out_dir: Path, *, train: int, val: int, seed: int) -> None:
    try:
        generate(out_dir / 'data', train=train, val=val, seed=seed)
    except (ValueError, FileExistsError) as error:
        raise ConfigError(
            key='--out', value=str(out_dir), expected=f'a folder to draw scenes in ({one_line(error)})'
        ) from error


def format_table(results: Sequence[Result]) -> str:
    """The results as aligned text: task, metric, value, aim, time."""
    rows = [('task', 'metric', 'value', 'aim', 'time')]
    rows += [
        (r.task.name, r.task.label, f'{r.value:.3f}', f'{r.task.aim:.1f}', f'{r.seconds:.0f} s')
        for r in results
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ['  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return '\n'.join([lines[0], '-' * len(lines[0]), *lines[1:]])


def _run_task(task: DemoTask, out_dir: Path, config_dir: Path, iterations: int | None) -> Result:
    start = time.perf_counter()
    cfg = load_config(
        config_dir / task.config,
        work_dir=out_dir / 'work_dirs' / task.name,
        data_root=out_dir / 'data' / task.data,
        options=None
        if iterations is None
        else {'train_cfg.max_iters': iterations, 'default_hooks.checkpoint.interval': iterations},
    )
    checkpoint = run_train(cfg)
    metrics = run_test(cfg, checkpoint, show_dir=_pictures(out_dir, task))
    value = metrics[task.metric] * task.scale
    return Result(task=task, value=value, seconds=time.perf_counter() - start)


def _pictures(out_dir: Path, task: DemoTask) -> Path:
    return out_dir / 'pictures' / task.name
