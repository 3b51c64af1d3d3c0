"""Files: every kind that holds weights is read, every kind that does not gets one clear error."""

from __future__ import annotations

import os
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.runner import load_checkpoint
from peers import assert_close, build_ours, scramble, tiny
from torch import nn

from hrnet_mm.checkpoints import CheckpointError, convert_checkpoint, load_weights, read_checkpoint


class Touches:
    """Pickles to the creation of a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def weights() -> dict[str, torch.Tensor]:
    return dict(scramble(build_ours('mmpretrain')).state_dict())


def hostile(path: Path) -> None:
    torch.save(dict(state_dict=weights(), extra=Touches(path.with_name('executed'))), path)


def hostile_legacy(path: Path) -> None:
    content = dict(state_dict=weights(), extra=Touches(path.with_name('executed')))
    torch.save(content, path, _use_new_zipfile_serialization=False)


def plain_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Touches(path.with_name('executed')), protocol=2))


def newer_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Touches(path.with_name('executed')), protocol=4))


def truncated(path: Path) -> None:
    torch.save(weights(), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def truncated_legacy(path: Path) -> None:
    torch.save(weights(), path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def truncated_safetensors(path: Path) -> None:
    safetensors(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def safetensors(path: Path) -> None:
    from safetensors.torch import save_file

    save_file(weights(), path)


def whole_module(path: Path) -> None:
    torch.save(nn.Conv2d(1, 1, 1), path)


def archive(path: Path) -> None:
    with tarfile.open(path, 'w') as tar:
        tar.add(__file__, 'a.py')


def bare_list(path: Path) -> None:
    torch.save([1, 2], path)


def optimizer_alone(path: Path) -> None:
    torch.save(dict(optimizer=dict(lr=1)), path)


def another_network(path: Path) -> None:
    import torchvision

    torch.save(torchvision.models.resnet18().state_dict(), path)


def two_networks(path: Path) -> None:
    torch.save({f'{who}.{k}': v for who in ('student', 'teacher') for k, v in weights().items()}, path)


def another_width(path: Path) -> None:
    extra = tiny(num_channels=(6, 8, 16, 32))
    torch.save(build_ours('mmpretrain', extra=extra).state_dict(), path)


def another_depth(path: Path) -> None:
    torch.save(build_ours('mmpretrain', extra=tiny(num_modules=3)).state_dict(), path)


def another_norm(path: Path) -> None:
    norm = dict(type='GN', num_groups=2)
    torch.save(build_ours('mmpretrain', norm_cfg=norm).state_dict(), path)


def of_two_channels(path: Path) -> None:
    torch.save(build_ours('mmpretrain', in_channels=2).state_dict(), path)


#: how to make the file, and what its error says
BAD_FILES: dict[Callable[[Path], None], str] = {
    hostile: r'holds Python objects besides tensors \(\w+\.mkdir\), .*executed; expected a file of weights',
    hostile_legacy: r'holds Python objects besides tensors \(\w+\.mkdir\), which are never executed',
    plain_pickle: r'holds Python objects besides tensors \(\w+\.mkdir\), which are never executed',
    whole_module: r'holds Python objects besides tensors \(torch\.nn\.modules\.conv\.Conv2d\)',
    newer_pickle: r'is damaged, truncated or no checkpoint at all \(UnpicklingError\)',
    truncated: r'is damaged, truncated or no checkpoint at all \(.+\); expected a PyTorch',
    truncated_legacy: r'is damaged, truncated or no checkpoint at all',
    truncated_safetensors: r'is damaged, truncated or no checkpoint at all \(SafetensorError',
    archive: r'is a tar archive, not weights',
    lambda path: path.write_bytes(b''): r'is empty; expected a PyTorch',
    lambda path: path.write_text('\n<!DOCTYPE html><title>404</title>'): r'is a web page, not weights',
    lambda path: path.write_text('version https://git-lfs.github.com/spec/v1\n'): r'is a git-lfs pointer',
    lambda path: path.write_bytes(b'\x1f\x8b\x08rest'): r'is a gzip archive',
    lambda path: path.write_text('not weights'): r'is damaged, truncated or no checkpoint at all',
    lambda path: path.mkdir(): r'is not there',
    lambda path: None: r'is not there; expected a PyTorch',
    bare_list: r'holds no weights \(found: list\); expected tensors by name',
    optimizer_alone: r'holds no weights \(found: optimizer\)',
}
#: files that are in order, and of which none fits the model
MISFITS: dict[Callable[[Path], None], str] = {
    another_network: r'is of another network than HRNet \(its keys begin conv1\.weight, ',
    two_networks: r"holds several HRNets, under 'student\.', 'teacher\.'; expected one",
    another_width: r'architecture \(channels 6/8/.*such as stage4\..*expected .* \(channels 4/8/16/32,',
    another_depth: r'another architecture \(.* 1-2-3 modules .*\(.* 1-2-2 modules',
    another_norm: r'another architecture \(',
    of_two_channels: r'for images of 2 channels, and the model has in_channels=3; expected 3 or 3',
}
EVERY_BAD_FILE = {**BAD_FILES, **MISFITS}


def bad_file(tmp_path: Path, make: Callable[[Path], object]) -> Path:
    path = tmp_path / 'file.pth'
    make(path)
    return path


def through_init_cfg(model: nn.Module, path: Path) -> None:
    model.init_cfg = dict(type='Pretrained', checkpoint=str(path))
    model.init_weights()


@pytest.mark.filterwarnings('ignore:Detected pickle protocol 4')
@pytest.mark.parametrize('load', [load_weights, through_init_cfg])
@pytest.mark.parametrize('make', EVERY_BAD_FILE)
def test_a_bad_file_is_one_clear_error_and_leaves_the_model(tmp_path, make, load):
    path = bad_file(tmp_path, make)
    model = scramble(build_ours('mmpretrain'), seed=1)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=EVERY_BAD_FILE[make]) as caught:
        load(model, path)
    assert str(caught.value).startswith(f'checkpoint {path}: ')
    assert len(str(caught.value).splitlines()) == 1 and 'weights_only' not in str(caught.value)
    assert_close(dict(model.state_dict()), before, rel=0)
    assert not (tmp_path / 'executed').exists()


@pytest.mark.filterwarnings('ignore:Detected pickle protocol 4')
@pytest.mark.parametrize('make', [make for make in BAD_FILES if make not in (bare_list, optimizer_alone)])
def test_mmengine_reading_a_file_says_the_same(tmp_path, make):
    path = bad_file(tmp_path, make)
    with pytest.raises(CheckpointError, match=BAD_FILES[make]):
        load_checkpoint(nn.Linear(1, 1), str(path))
    assert not (tmp_path / 'executed').exists()


@pytest.mark.parametrize('make', [another_network, two_networks, hostile])
def test_nothing_is_converted(tmp_path, make):
    path = bad_file(tmp_path, make)
    with pytest.raises(CheckpointError, match=EVERY_BAD_FILE[make]):
        convert_checkpoint(path, tmp_path / 'out.pth')
    assert not (tmp_path / 'out.pth').exists()


@pytest.mark.parametrize('name', ['a.pth', 'a.pth.tar', 'a.pt', 'a', 'a.safetensors', 'a.bin'])
@pytest.mark.parametrize('zipped', [True, False])
def test_the_content_decides_not_the_name(tmp_path, name, zipped):
    state = weights()
    if name != 'a.safetensors':
        torch.save(state, tmp_path / name, _use_new_zipfile_serialization=zipped)
    else:
        safetensors(tmp_path / name)
    found = read_checkpoint(tmp_path / name).state
    assert_close({key: found[key] for key in state}, state, rel=0)
    assert len(found) == len(state)


def test_safetensors_under_another_name(tmp_path):
    safetensors(tmp_path / 'a.pth')
    assert set(read_checkpoint(tmp_path / 'a.pth').state) == set(weights())


def test_what_else_a_training_file_holds_is_named(tmp_path):
    content = dict(meta=dict(epoch=1), state_dict={**weights(), 'count': 3}, optimizer=dict(), message_hub={})
    torch.save(content, tmp_path / 'a.pth')
    checkpoint = read_checkpoint(tmp_path / 'a.pth')
    assert checkpoint.left == ('optimizer', 'message_hub', 'count')
    assert checkpoint.meta == dict(epoch=1)


def test_the_error_travels_between_processes():
    error = CheckpointError(source='a.pth', problem='is empty', expected='weights')
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.source) == (str(error), 'a.pth')
    assert str(error) == 'checkpoint a.pth: is empty; expected weights'
