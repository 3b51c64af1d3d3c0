"""MMEngine's training checkpoints load under torch's safe default, and torch's own list stays as it was."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import checkpoint as mm_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader
from peers import assert_close, scopes_as_before
from runs import Learner, training
from spoiled import Calls
from tool_runs import run_fresh
from torch.serialization import add_safe_globals, clear_safe_globals, get_safe_globals

from hrnet_mm.checkpoints import CheckpointError, allow_training_checkpoints, load_file


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Written by a Runner without our hooks."""
    folder = tmp_path_factory.mktemp('run')
    with scopes_as_before():
        training(Learner(), folder, iterations=2, hooks={}).train()
    return folder / 'work' / 'iter_2.pth'


@pytest.fixture
def own_list() -> Iterator[None]:
    """Puts torch's list of safe classes back after a test that adds to it."""
    before = get_safe_globals()
    yield
    clear_safe_globals()
    add_safe_globals(before)


def test_the_import_leaves_torchs_list_alone(checkpoint: Path) -> None:
    code = """
    import sys
    from mmengine.runner.checkpoint import CheckpointLoader
    from torch.serialization import get_safe_globals
    before = get_safe_globals()
    import hrnet_mm
    assert get_safe_globals() == before
    print('seen', CheckpointLoader.load_checkpoint(sys.argv[1])['meta']['iter'])
    more = set(get_safe_globals()) - set(before)  # torch's own distributed tensors, as they are imported
    assert all(each.__module__.startswith('torch.') for each in more), more
    """
    assert 'seen 2' in run_fresh(code, checkpoint).splitlines()


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

    works = (hold, lambda: done.append(load_file(checkpoint)))
    threads = [threading.Thread(target=work) for work in works]
    threads[0].start()
    entered.wait()
    threads[1].start()
    leave.set()
    for thread in threads:
        thread.join()
    assert len(done) == 1


# -- MMEngine after 0.10, which passes weights_only=False -----------------------------------------


@pytest.mark.usefixtures('own_list')
def test_a_later_mmengine_reads_local_files_safely_too(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def later(filename: str, map_location: Any) -> Any:
        return torch.load(filename, map_location=map_location, weights_only=False)

    monkeypatch.setattr(mm_checkpoint, 'load_from_local', later)
    monkeypatch.setitem(CheckpointLoader._schemes, '', later)
    path = tmp_path / 'fraction.pth'
    torch.save({'state_dict': {}, 'meta': Fraction(1, 3)}, path)
    assert CheckpointLoader.load_checkpoint(str(checkpoint))['meta']['iter'] == 2
    with pytest.raises(CheckpointError, match=r'fractions\.Fraction.*torch\.serialization\.add_safe_globals'):
        CheckpointLoader.load_checkpoint(str(path))
    # who asks for it gets it: our loader is one entry in MMEngine's table, and torch.load is torch's
    assert later(str(path), 'cpu')['meta'] == Fraction(1, 3)
    add_safe_globals([Fraction])
    assert CheckpointLoader.load_checkpoint(str(path))['meta'] == Fraction(1, 3)


def test_urls_are_left_to_mmengine() -> None:
    for scheme in ('https', 'open-mmlab:s3', 'torchvision', 'mmcls'):
        loader = CheckpointLoader._get_checkpoint_loader(f'{scheme}://a/b.pth')
        assert loader.__module__ == 'mmengine.runner.checkpoint'
    for path in ('a.pth', '/a/b.pt', '~/c.safetensors', 'latest'):
        loader = CheckpointLoader._get_checkpoint_loader(path)
        assert (loader.__module__, loader.__name__) == ('hrnet_mm.checkpoints.mm', 'load_from_local')


# -- hostile files --------------------------------------------------------------------------------


@pytest.mark.parametrize('place', ['a scalar', 'a history', 'an array'])
def test_a_hostile_file_is_refused_and_not_executed(place: str, tmp_path: Path) -> None:
    marker, path = tmp_path / 'was_here', tmp_path / 'hostile.pth'
    payload: Any = Calls(os.mkdir, str(marker))
    if place == 'a history':
        payload, call = HistoryBuffer([1.0], [1]), payload
        payload.call = call
    elif place == 'an array':
        payload = np.array([payload], dtype=object)
    torch.save(dict(state_dict={}, message_hub=dict(log_scalars=dict(loss=payload))), path)
    with pytest.raises(CheckpointError):
        load_file(path)
    assert not marker.exists()
    torch.load(path, weights_only=False)  # the refusal is no accident
    assert marker.exists()


def test_a_history_reaches_its_own_statistics_and_nothing_else(tmp_path: Path) -> None:
    """A ``HistoryBuffer`` is stored with its methods, looked up by ``getattr``; none may be called."""
    path = tmp_path / 'a.pth'
    for name in ('min', 'max', 'current', 'mean'):
        torch.save(Calls(getattr, HistoryBuffer, name), path)
        assert load_file(path) is getattr(HistoryBuffer, name)
    calls = [Calls(HistoryBuffer.mean, HistoryBuffer([1.0], [1]))]
    for owner, name in ((HistoryBuffer, '__init__'), (np.ndarray, 'tofile'), ('abc', 'format')):
        calls.append(Calls(getattr, owner, name))
    for call in calls:
        torch.save(call, path)
        with pytest.raises(CheckpointError):
            load_file(path)
