"""What one network for the demo's tasks costs beside three: parameters, multiply-accumulates, time."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarking.timer import Clock, time_in_rounds
from torch.utils.flop_counter import FlopCounterMode

import hrnet_mm
from hrnet_mm.checkpoints.tasks import extract_task
from hrnet_mm.config.errors import ConfigError
from hrnet_mm.config.load import load_config
from hrnet_mm.demo.run import DEMO_TASKS, JOINT_CONFIG
from hrnet_mm.inference.people import people_in
from hrnet_mm.training.command_line import ToolParser, run_tool
from hrnet_mm.utils import text_table

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
#: mmseg's networks upsample bilinearly; as in the joint config, all do so by nearest here.
NEAREST = {'model.backbone.upsample_cfg': {'mode': 'nearest'}}


def parse_arguments() -> argparse.Namespace:
    parser = ToolParser(description=__doc__, epilog='example: python tools/dev/joint_cost.py demo_output')
    parser.add_argument('demo', help='what `make demo-joint` has written')
    parser.add_argument('--images', type=int, default=4, help='of the val split, to take in turn')
    parser.add_argument('--rounds', type=int, default=10, help='of timing; the median counts')
    parser.add_argument('--threads', type=int, default=1, help='of the CPU')
    return parser.parse_args()


def three_networks(checkpoint: Path, folder: Path) -> dict[str, hrnet_mm.Network]:
    """The single networks of the demo's tasks, each with the joint network's weights."""
    networks = {}
    for task in DEMO_TASKS:
        weights = folder / f'{task.name}.pth'
        extract_task(checkpoint, weights, task=task.name)
        networks[task.name] = hrnet_mm.Network(load_config(CONFIGS / task.config, options=NEAREST), weights)
    return networks


def predict_apart(networks: Mapping[str, hrnet_mm.Network], image: Path) -> dict[str, Any]:
    """What the joint network does in one call: top-down pose looks at the people who were detected."""
    found = {name: networks[name].predict(image) for name in ('segmentation', 'detection')}
    people = people_in(found['detection'], metadata=networks['detection'].metadata)
    return {**found, 'pose': networks['pose'].predict(image, boxes=people)}


def require_equal(joint: Mapping[str, Any], apart: Mapping[str, Any]) -> None:
    """What is timed has to be the same work."""
    for task, prediction in apart.items():
        for name, value in vars(prediction).items():
            if value is not None and not np.allclose(getattr(joint[task], name), value, atol=1e-3):
                raise ConfigError(key=f'{task}.{name}', value='differs', expected='equal predictions')


def products(predict: Callable[[Path], Any], images: list[Path]) -> float:
    """Multiply-accumulates for an image, the mean of some."""
    with FlopCounterMode(display=False) as counter:
        for image in images:
            predict(image)
    return counter.get_total_flops() / 2 / len(images)


def compare(checkpoint: Path, images: list[Path], *, rounds: int) -> str:
    """A table of the joint network, of three, and of their ratio."""
    joint = hrnet_mm.Network(CONFIGS / JOINT_CONFIG, checkpoint)
    with tempfile.TemporaryDirectory() as folder:
        networks = three_networks(checkpoint, Path(folder))
        apart = {'one network': joint.predict, 'three networks': lambda each: predict_apart(networks, each)}
        for image in images:
            require_equal(joint.predict(image), predict_apart(networks, image))
    jobs = {name: (lambda how=how: [how(each) for each in images]) for name, how in apart.items()}
    times = time_in_rounds(jobs, rounds=rounds, clock=Clock())
    seconds = [times[name].median / len(images) for name in jobs]
    counts = [products(how, images) for how in apart.values()]
    params = [count([joint]), count(networks.values())]
    rows = [('', *jobs, 'ratio')]
    rows.append(row('parameters (M)', [each / 1e6 for each in params]))
    rows.append(row('multiply-accumulates for an image (2^30)', [each / 2**30 for each in counts]))
    rows.append(row('milliseconds for an image', [each * 1e3 for each in seconds]))
    return text_table(rows)


def count(networks: Any) -> int:
    return sum(weight.numel() for each in networks for weight in each._model.parameters())


def row(label: str, values: list[float]) -> tuple[str, ...]:
    one, three = values
    return label, f'{one:.2f}', f'{three:.2f}', f'{one / three:.2f}'


def main() -> None:
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    checkpoints = sorted(Path(args.demo, 'work_dirs', 'joint').glob('iter_*.pth'))
    images = sorted(Path(args.demo, 'data', 'coco', 'val2017').glob('*.jpg'))[: args.images]
    if not checkpoints or not images:
        raise ConfigError(key='demo', value=args.demo, expected='a folder that `make demo-joint` has filled')
    print(compare(checkpoints[-1], images, rounds=args.rounds))


if __name__ == '__main__':
    run_tool(main)
