"""MMEngine's training checkpoints load under torch's safe default; hostile files stay refused."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from peers import assert_close

from hrnet_mm import allow_training_checkpoints

pytestmark = pytest.mark.skipif(
    tuple(int(part) for part in torch.__version__.split('.')[:2]) < (2, 6),
    reason='before torch 2.6 nothing is refused by default',
)


def run_fresh(code: str, *arguments: object) -> subprocess.CompletedProcess:
    """Run Python code in a new interpreter, which has imported nothing yet."""
    return subprocess.run(
        [sys.executable, '-c', textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
    )


# A toy with everything that a real run writes: an optimiser with momentum, a schedule, logged scalars,
# and data set meta information as mmpose's data sets hold it.
TRAIN = """
import sys
import numpy as np, torch
from mmengine.dataset import BaseDataset
from mmengine.model import BaseModel
from mmengine.runner import Runner

class Toy(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def forward(self, inputs, mode='tensor'):
        y = self.layer(torch.stack(inputs))
        return dict(loss=y.square().mean()) if mode == 'loss' else y

class Data(torch.utils.data.Dataset):
    metainfo = dict(
        classes=('person',),
        sigmas=np.linspace(0.02, 0.1, 17, dtype=np.float32),
        colors=np.arange(6, dtype=np.uint8).reshape(2, 3),
        flip=np.array([1, 0]),
        seen=np.array([True, False]),
        weights=np.ones(3),
        scale=np.float64(1.5),
        count=np.int64(3),
        links={0: dict(link=('a', 'b'), id=0)},
    )
    def __len__(self):
        return 8
    def __getitem__(self, i):
        return dict(inputs=torch.full((2,), float(i)))

def runner(work_dir, **kwargs):
    return Runner(
        Toy(),
        work_dir=work_dir,
        train_dataloader=dict(
            batch_size=2, dataset=Data(), sampler=dict(type='DefaultSampler', shuffle=True)
        ),
        train_cfg=dict(by_epoch=False, max_iters=kwargs.pop('iterations')),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01, momentum=0.9)),
        param_scheduler=dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=10),
        default_hooks=dict(
            logger=dict(type='LoggerHook', interval=1),
            checkpoint=dict(type='CheckpointHook', interval=2, by_epoch=False),
        ),
        log_level='ERROR',
        default_scope='mmengine',
        **kwargs,
    )
"""


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory) -> Path:
    """Written by a Runner that knows nothing of us."""
    folder = tmp_path_factory.mktemp('run')
    done = run_fresh(TRAIN + 'runner(sys.argv[1], iterations=2).train()\n', folder)
    assert done.returncode == 0, done.stderr
    return folder / 'iter_2.pth'


LOAD = """
import sys, torch
saved = torch.load(sys.argv[1])
print(saved['meta']['iter'], sorted(saved['state_dict']), type(saved['meta']['dataset_meta']['sigmas']))
"""


def test_it_is_refused_without_us(checkpoint):
    """The trap itself: without it, the next test would prove nothing."""
    done = run_fresh('import mmengine.runner, numpy\n' + LOAD, checkpoint)
    assert done.returncode != 0
    assert 'UnpicklingError' in done.stderr and 'weights_only' in done.stderr


def test_importing_us_is_enough(checkpoint):
    done = run_fresh('import hrnet_mm\n' + LOAD, checkpoint)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "2 ['layer.bias', 'layer.weight'] <class 'numpy.ndarray'>"


def test_training_resumes(checkpoint):
    code = TRAIN + (
        'import hrnet_mm\n'
        'r = runner(sys.argv[1], iterations=4, resume=True, load_from=sys.argv[2])\n'
        'r.train()\n'
        "print(r.iter, r.message_hub.get_scalar('train/loss').data[0].size)\n"
    )
    done = run_fresh(code, checkpoint.parent / 'resumed', checkpoint)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-2:] == ['4', '4']  # two logged losses of the file, two new ones


def test_every_value_arrives(checkpoint):
    """The same as an unsafe load of a file we just wrote ourselves."""
    found, truth = torch.load(checkpoint), torch.load(checkpoint, weights_only=False)
    assert list(found) == list(truth)
    assert_close(dict(found['state_dict']), dict(truth['state_dict']), rel=0)
    np.testing.assert_equal(found['meta'], truth['meta'])
    for key, value in truth['meta']['dataset_meta'].items():
        assert type(found['meta']['dataset_meta'][key]) is type(value), key
    for key, buffer in truth['message_hub']['log_scalars'].items():
        ours = found['message_hub']['log_scalars'][key]
        assert isinstance(ours, HistoryBuffer)
        np.testing.assert_equal(ours.data, buffer.data)
        assert ours.mean() == buffer.mean()


def test_repeating_it_is_harmless(checkpoint):
    before = len(torch.serialization.get_safe_globals())
    allow_training_checkpoints()
    assert len(torch.serialization.get_safe_globals()) == before
    torch.load(checkpoint)


# -- hostile files --------------------------------------------------------------------------------


class Calls:
    """Pickles to the call of a function."""

    def __init__(self, function, *arguments) -> None:
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def leaves(marker: Path) -> str:
    return f'open({str(marker)!r}, "w").close()'


# Files that would leave a marker behind if anything in them ran.
HOSTILE = {
    'os.system': lambda marker: Calls(os.system, f'touch {marker}'),
    'exec': lambda marker: Calls(exec, leaves(marker)),
    'eval': lambda marker: Calls(eval, leaves(marker)),
    'subprocess': lambda marker: Calls(subprocess.Popen, ['touch', str(marker)]),
    'open': lambda marker: Calls(open, str(marker), 'w'),
    'inside an array': lambda marker: np.array([Calls(os.system, f'touch {marker}')], dtype=object),
}


def history_with(payload: object) -> HistoryBuffer:
    buffer = HistoryBuffer([1.0], [1])
    buffer.payload = payload
    return buffer


@pytest.mark.parametrize('kind', HOSTILE)
@pytest.mark.parametrize('place', ['weights', 'message hub', 'history'])
def test_a_hostile_file_is_refused_and_not_executed(kind, place, tmp_path):
    marker, path = tmp_path / 'was_here', tmp_path / 'hostile.pth'
    payload = HOSTILE[kind](marker)
    saved = {
        'weights': dict(state_dict=dict(weight=payload)),
        'message hub': dict(state_dict={}, message_hub=dict(log_scalars=dict(loss=payload))),
        'history': dict(state_dict={}, message_hub=dict(log_scalars=dict(loss=history_with(payload)))),
    }[place]
    torch.save(saved, path)

    with pytest.raises(pickle.UnpicklingError, match='Weights only load failed'):
        torch.load(path)
    assert not marker.exists()


def test_the_hostile_file_is_hostile(tmp_path):
    """Loaded without protection it does run: the refusals above are no accident."""
    marker, path = tmp_path / 'was_here', tmp_path / 'hostile.pth'
    torch.save(HOSTILE['exec'](marker), path)
    torch.load(path, weights_only=False)
    assert marker.exists()


@pytest.mark.parametrize(
    ('owner', 'name'),
    [
        (HistoryBuffer, '__init__'),
        (HistoryBuffer, '__class__'),
        (HistoryBuffer, 'register_statistics'),
        (np.ndarray, 'tofile'),
        (np.ndarray, 'mean'),
        (np.dtype, 'mean'),
        ([1.0], 'append'),
        ('abc', 'format'),
    ],
)
def test_attributes_stay_out_of_reach(owner, name, tmp_path):
    """A ``HistoryBuffer`` is stored with its methods, looked up by ``getattr``; nothing else may be."""
    path = tmp_path / 'hostile.pth'
    torch.save(Calls(getattr, owner, name), path)
    with pytest.raises(pickle.UnpicklingError, match='Weights only load failed'):
        torch.load(path)


@pytest.mark.parametrize('name', ['min', 'max', 'current', 'mean'])
def test_a_histories_own_statistics_are_found(name, tmp_path):
    path = tmp_path / 'statistics.pth'
    torch.save(Calls(getattr, HistoryBuffer, name), path)
    assert torch.load(path) is getattr(HistoryBuffer, name)


@pytest.mark.parametrize('name', ['min', 'mean'])
def test_but_cannot_be_called_by_a_file(name, tmp_path):
    path = tmp_path / 'calls.pth'
    torch.save(Calls(getattr(HistoryBuffer, name), HistoryBuffer([1.0], [1])), path)
    with pytest.raises(pickle.UnpicklingError, match='Weights only load failed'):
        torch.load(path)
