"""Losses and gradients that are no numbers: the run stops, or leaves steps out, and the weights stay good."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import faulty
import pytest
import torch
from tool_runs import in_process

from hrnet_mm.checkpoints import load_file
from hrnet_mm.config.errors import ConfigError
from hrnet_mm.config.load import load_config
from hrnet_mm.training.finite_loss_hook import FiniteLossHook, NumericFault
from hrnet_mm.training.run import run_train

Weights = dict[str, torch.Tensor]


pytestmark = pytest.mark.usefixtures('own_folder')


def train(folder: Path, faults: dict[int, str], **settings: Any) -> Path:
    config = faulty.write_config(folder, faults, **settings)
    return run_train(load_config(config, work_dir=folder / 'work'))


def weights(path: Path | str) -> Weights:
    return load_file(path)['state_dict']


def steps(path: Path | str) -> int:
    """The optimizer's own state tells whether it stepped: SGD's momentum is made by the first step."""
    return len(load_file(path)['optimizer']['state'])


@pytest.mark.parametrize(
    ('kind', 'broken'),
    [
        ('nan', {'loss_b': 'nan'}),
        ('inf', {'loss_b': 'inf'}),
        ('image', {'loss_a': 'nan', 'loss_b': 'nan'}),
        ('gradient', {'gradient of norm.weight': 'nan', 'gradient of norm.bias': 'nan'}),
    ],
)
def test_a_run_stops_and_keeps_the_last_good_checkpoint(kind: str, broken: Any, tmp_path: Path) -> None:
    with pytest.raises(NumericFault) as caught:
        train(tmp_path, {4: kind})
    fault = caught.value
    assert (fault.step, fault.images) == (4, ('6.jpg', '7.jpg'))
    assert {name: str(value) for name, value in fault.values.items()} == broken
    assert fault.checkpoint == str(tmp_path / 'work' / 'iter_3.pth')
    assert [path.name for path in tmp_path.glob('work/*.pth')] == ['iter_3.pth']
    undisturbed = train(tmp_path / 'work', {}, iterations=3)
    kept, truth = weights(fault.checkpoint), weights(undisturbed)
    assert all(torch.equal(kept[name], truth[name]) for name in truth)


def test_the_tool_says_it_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    config = faulty.write_config(tmp_path, {2: 'inf'})
    assert in_process('train.py', config, '--work-dir', 'work', monkeypatch=monkeypatch) == 2
    last = capfd.readouterr().err.strip().splitlines()[-1]
    assert last == (
        'error: iteration 2: loss_b = inf; images of the batch: 2.jpg, 3.jpg; '
        f'last good checkpoint: {tmp_path}/work/iter_1.pth'
    )


@pytest.mark.parametrize('kind', ['nan', 'image', 'gradient'])
def test_steps_left_out_change_nothing(kind: str, tmp_path: Path) -> None:
    """Weights, momentum and statistics are those of a run in which the broken batches never came."""
    found = load_file(train(tmp_path, {2: kind, 3: kind}, skip_up_to=2, iterations=3))
    truth = load_file(train(tmp_path / 'work', {}, iterations=1))
    for name, value in truth['state_dict'].items():
        assert torch.equal(found['state_dict'][name], value), name
    for index, state in truth['optimizer']['state'].items():
        momentum = found['optimizer']['state'][index]['momentum_buffer']
        assert torch.equal(momentum, state['momentum_buffer'])


def test_learning_goes_on_behind_a_step_left_out(tmp_path: Path) -> None:
    before = weights(train(tmp_path, {2: 'image'}, skip_up_to=1, iterations=2))
    after = weights(train(tmp_path, {2: 'image'}, skip_up_to=1, iterations=3))
    assert not torch.equal(before['a.weight'], after['a.weight'])
    assert all(value.isfinite().all() for value in after.values())


def test_the_limit_is_of_the_whole_run_and_each_step_is_told_once(tmp_path: Path) -> None:
    with pytest.raises(NumericFault, match=r'^iteration 5: .*last good checkpoint: .*iter_4\.pth'):
        train(tmp_path, {1: 'nan', 3: 'gradient', 5: 'inf'}, skip_up_to=2)
    log = next(tmp_path.glob('work/*/*.log')).read_text()
    warned = [line for line in log.splitlines() if 'step left out' in line]
    assert [line.split('step left out, ')[1] for line in warned] == ['1 of at most 2', '2 of at most 2']
    assert 'images of the batch: 0.jpg, 1.jpg' in warned[0]
    scalars = next(tmp_path.glob('work/*/vis_data/scalars.json')).read_text().splitlines()
    assert all('NaN' not in json.dumps(json.loads(line).get('loss')) for line in scalars)


@pytest.mark.parametrize('broken', [1, 2])
def test_a_step_is_left_out_with_all_batches_that_it_accumulates(broken: int, tmp_path: Path) -> None:
    found = train(tmp_path, {broken: 'image'}, skip_up_to=1, iterations=2, accumulative_counts=2)
    left = weights(found)
    assert steps(found) == 0 and left['norm.num_batches_tracked'] == 0
    assert not left['norm.running_mean'].any()
    after = train(tmp_path, {broken: 'image'}, skip_up_to=1, iterations=4, accumulative_counts=2)
    assert steps(after) == 6 and not torch.equal(weights(after)['a.weight'], left['a.weight'])


def test_gradients_may_be_left_alone(tmp_path: Path) -> None:
    config = faulty.write_config(tmp_path, {2: 'gradient'}, iterations=2)
    options = {'default_hooks.finite.gradients': False}
    assert weights(run_train(load_config(config, options=options)))['norm.weight'].isnan().all()


@pytest.mark.parametrize('value', [-1, 1.5, True, None])
def test_a_limit_that_is_no_number_of_steps_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match=r'^skip_up_to = .*: expected a number of steps, 0 or more$'):
        FiniteLossHook(skip_up_to=value)


def test_the_error_travels_and_shows_sixteen_images() -> None:
    images = tuple(f'{index}.jpg' for index in range(20))
    fault = NumericFault(step=7, values={'loss': float('inf')}, images=images, checkpoint=None)
    assert str(fault).endswith('last good checkpoint: none saved yet')
    again = pickle.loads(pickle.dumps(fault))
    assert (str(again), again.images, again.step) == (str(fault), images, 7)
    assert '15.jpg, and 4 more; last good' in str(fault) and '16.jpg' not in str(fault)
