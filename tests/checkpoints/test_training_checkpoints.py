"""MMEngine's training checkpoints load under torch's safe default, and torch's own list stays as it was."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import checkpoint as mm_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader
from peers import assert_close
from spoiled import Calls
from torch.serialization import add_safe_globals, clear_safe_globals, get_safe_globals

from hrnet_mm.checkpoints import CheckpointError, allow_training_checkpoints, load_file

pytestmark = pytest.mark.skipif(
    tuple(int(part) for part in torch.__version__.split('.')[:2]) < (2, 6),
    reason='before torch 2.6 nothing is refused by default',
)


def run_fresh(code: str, *arguments: object) -> str:
    """What Python code prints in a new interpreter, which has imported nothing yet."""
    command = [sys.executable, '-c', textwrap.dedent(code), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# A toy with everything that a real run writes: an optimiser with momentum, logged scalars, and data set
# metadata as mmpose's data sets hold it.
TRAIN = """
import sys
import numpy as np, torch
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
        scale=np.float64(1.5),
        count=np.int64(3),
        links={0: dict(link=('a', 'b'), id=0)},
    )
    def __len__(self):
        return 8
    def __getitem__(self, i):
        return dict(inputs=torch.full((2,), float(i)))

def runner(work_dir, iterations, **kwargs):
    return Runner(
        Toy(),
        work_dir=work_dir,
        train_dataloader=dict(
            batch_size=2, dataset=Data(), sampler=dict(type='DefaultSampler', shuffle=True)
        ),
        train_cfg=dict(by_epoch=False, max_iters=iterations),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01, momentum=0.9)),
        default_hooks=dict(
            logger=dict(type='LoggerHook', interval=1),
            checkpoint=dict(type='CheckpointHook', interval=2, by_epoch=False),
        ),
        log_level='ERROR',
        **kwargs,
    )
"""


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Written by a Runner that knows nothing of us."""
    folder = tmp_path_factory.mktemp('run')
    run_fresh(TRAIN + 'runner(sys.argv[1], 2).train()\n', folder)
    return folder / 'iter_2.pth'


@pytest.fixture
def own_list() -> Iterator[None]:
    """Puts torch's list of safe classes back after a test that adds to it."""
    before = get_safe_globals()
    yield
    clear_safe_globals()
    add_safe_globals(before)


def test_training_resumes_and_the_import_leaves_torchs_list_alone(checkpoint: Path) -> None:
    code = """
    from torch.serialization import get_safe_globals
    before = get_safe_globals()
    import hrnet_mm
    assert get_safe_globals() == before
    for number, path in enumerate(sys.argv[2:]):
        r = runner(f'{sys.argv[1]}_{number}', 4, resume=True, load_from=path)
        r.train()
        print('seen', r.iter, r.message_hub.get_scalar('train/loss').data[0].size)
    more = set(get_safe_globals()) - set(before)  # torch's own distributed tensors, as they are imported
    assert all(each.__module__.startswith('torch.') for each in more), more
    """
    bare = checkpoint.with_name('latest')  # MMEngine asks for no ending
    bare.symlink_to(checkpoint)
    done = run_fresh(TRAIN + textwrap.dedent(code), checkpoint.parent / 'resumed', checkpoint, bare)
    assert [line for line in done.splitlines() if 'seen' in line] == [
        'seen 4 4'
    ] * 2  # two logged losses of the file, two new ones


def test_torch_refuses_it_without_us(checkpoint: Path) -> None:
    """The trap itself: otherwise the other tests would prove nothing."""
    with pytest.raises(pickle.UnpicklingError, match='Weights only load failed'):
        torch.load(checkpoint)
    with allow_training_checkpoints():
        torch.load(checkpoint)
    with pytest.raises(pickle.UnpicklingError, match='Weights only load failed'):
        torch.load(checkpoint)


def test_every_value_arrives(checkpoint: Path) -> None:
    """The same as an unsafe load of a file we just wrote ourselves."""
    found, truth = load_file(checkpoint), torch.load(checkpoint, weights_only=False)
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


# -- beside the user's own list -------------------------------------------------------------------


@pytest.mark.usefixtures('own_list')
def test_a_plain_getattr_of_the_users_neither_breaks_nor_is_broken(checkpoint: Path, tmp_path: Path) -> None:
    torch.save(Calls(getattr, np.ndarray, 'mean'), tmp_path / 'own.pth')
    add_safe_globals([getattr, np.ndarray])
    before = set(get_safe_globals())
    for _ in range(2):
        assert torch.load(tmp_path / 'own.pth') is np.ndarray.mean
        assert CheckpointLoader.load_checkpoint(str(tmp_path / 'own.pth')) is np.ndarray.mean
        content = CheckpointLoader.load_checkpoint(str(checkpoint))
        assert isinstance(content['message_hub']['log_scalars']['train/loss'], HistoryBuffer)
    assert set(get_safe_globals()) == before


def test_one_thread_does_not_end_what_another_reads(checkpoint: Path) -> None:
    entered, leave = threading.Event(), threading.Event()
    done: list[Any] = []

    def hold() -> None:
        with allow_training_checkpoints():
            entered.set()
            leave.wait()

    threads = [
        threading.Thread(target=hold),
        threading.Thread(target=lambda: done.append(load_file(checkpoint))),
    ]
    threads[0].start()
    entered.wait()
    threads[1].start()
    leave.set()
    for thread in threads:
        thread.join()
    assert len(done) == 1


# -- MMEngine after 0.10, which passes weights_only=False -----------------------------------------


@pytest.fixture
def later_mmengine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    def load_from_local(filename: str, map_location: Any) -> Any:
        return torch.load(filename, map_location=map_location, weights_only=False)

    monkeypatch.setattr(mm_checkpoint, 'load_from_local', load_from_local)
    monkeypatch.setitem(CheckpointLoader._schemes, '', load_from_local)
    return load_from_local


@pytest.mark.usefixtures('own_list')
def test_a_later_mmengine_reads_local_files_safely_too(
    later_mmengine: Callable[..., Any], checkpoint: Path, tmp_path: Path
) -> None:
    path = tmp_path / 'fraction.pth'
    torch.save({'state_dict': {}, 'meta': Fraction(1, 3)}, path)
    assert CheckpointLoader.load_checkpoint(str(checkpoint))['meta']['iter'] == 2
    with pytest.raises(CheckpointError, match=r'fractions\.Fraction.*torch\.serialization\.add_safe_globals'):
        CheckpointLoader.load_checkpoint(str(path))
    # who asks for it gets it: our loader is one entry in MMEngine's table, and torch.load is torch's
    assert later_mmengine(str(path), 'cpu')['meta'] == Fraction(1, 3)
    assert torch.load(path, weights_only=False)['meta'] == Fraction(1, 3)
    add_safe_globals([Fraction])
    assert CheckpointLoader.load_checkpoint(str(path))['meta'] == Fraction(1, 3)


def test_urls_are_left_to_mmengine() -> None:
    loaders = {url: CheckpointLoader._get_checkpoint_loader(f'{url}://a/b.pth') for url in URLS}
    assert {loader.__module__ for loader in loaders.values()} == {'mmengine.runner.checkpoint'}
    for path in ('a.pth', '/a/b.pt', '~/c.safetensors', 'latest', 'iter_3.tar'):
        loader = CheckpointLoader._get_checkpoint_loader(path)
        assert (loader.__module__, loader.__name__) == ('hrnet_mm.checkpoints.mm', 'load_from_local')


URLS = ('http', 'https', 's3', 'open-mmlab:s3', 'petrel', 'pavi', 'torchvision', 'open-mmlab', 'mmcls')


# -- hostile files --------------------------------------------------------------------------------


def leaves(marker: Path) -> str:
    return f'open({str(marker)!r}, "w").close()'


# Files that would leave a marker behind if anything in them ran.
HOSTILE: dict[str, Callable[[Path], Any]] = {
    'os.system': lambda marker: Calls(os.system, f'touch {marker}'),
    'exec': lambda marker: Calls(exec, leaves(marker)),
    'subprocess': lambda marker: Calls(subprocess.Popen, ['touch', str(marker)]),
    'open': lambda marker: Calls(open, str(marker), 'w'),
    'inside an array': lambda marker: np.array([Calls(os.system, f'touch {marker}')], dtype=object),
}


def history_with(payload: object) -> HistoryBuffer:
    buffer: Any = HistoryBuffer([1.0], [1])
    buffer.payload = payload
    return buffer


@pytest.mark.parametrize('kind', HOSTILE)
def test_a_hostile_file_is_refused_and_not_executed(kind: str, tmp_path: Path) -> None:
    marker, path = tmp_path / 'was_here', tmp_path / 'hostile.pth'
    payload = HOSTILE[kind](marker)
    for scalar in (payload, history_with(payload)):
        torch.save(dict(state_dict={}, message_hub=dict(log_scalars=dict(loss=scalar))), path)
        with pytest.raises(CheckpointError):
            load_file(path)
        assert not marker.exists()
    torch.load(path, weights_only=False)  # the refusals are no accident
    assert marker.exists() or kind == 'subprocess'


@pytest.mark.parametrize(
    ('owner', 'name'),
    [
        (HistoryBuffer, '__init__'),
        (HistoryBuffer, 'register_statistics'),
        (np.ndarray, 'tofile'),
        (np.dtype, 'mean'),
        ('abc', 'format'),
    ],
)
def test_attributes_stay_out_of_reach(owner: object, name: str, tmp_path: Path) -> None:
    """A ``HistoryBuffer`` is stored with its methods, looked up by ``getattr``; nothing else may be."""
    torch.save(Calls(getattr, owner, name), tmp_path / 'hostile.pth')
    with pytest.raises(CheckpointError):
        load_file(tmp_path / 'hostile.pth')


@pytest.mark.parametrize('name', ['min', 'max', 'current', 'mean'])
def test_a_historys_own_statistics_are_found_and_cannot_be_called(name: str, tmp_path: Path) -> None:
    method = getattr(HistoryBuffer, name)
    torch.save(Calls(getattr, HistoryBuffer, name), tmp_path / 'a.pth')
    assert load_file(tmp_path / 'a.pth') is method
    torch.save(Calls(method, HistoryBuffer([1.0], [1])), tmp_path / 'a.pth')
    with pytest.raises(CheckpointError):
        load_file(tmp_path / 'a.pth')
