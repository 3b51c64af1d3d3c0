"""Files: every kind that holds weights is read, every kind that does not gets one clear error."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.runner import load_checkpoint
from peers import assert_close, build_ours, scramble, tiny
from spoiled import Calls, legacy, safetensors, zipped
from torch import nn

from hrnet_mm.checkpoints import CheckpointError, convert_checkpoint, load_weights, read_checkpoint


def weights(**kwargs: Any) -> dict[str, torch.Tensor]:
    return dict(scramble(build_ours('mmpretrain', **kwargs)).state_dict())


def call(path: Path) -> Calls:
    return Calls(os.mkdir, str(path.with_name('executed')))


def two_networks() -> dict[str, torch.Tensor]:
    return {f'{who}.{key}': v for who in ('student', 'teacher') for key, v in weights().items()}


def archive(path: Path) -> bytes:
    with tarfile.open(path, 'w') as tar:
        tar.add(__file__, 'a.py')
    return path.read_bytes()


def resnet() -> dict[str, torch.Tensor]:
    import torchvision

    return torchvision.models.resnet18().state_dict()


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def bomb() -> bytes:
    """A member beside the weights that is larger than the file."""
    file = io.BytesIO(zipped(weights()))
    with zipfile.ZipFile(file, 'a', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('archive/other', bytes(2**24))
    return file.getvalue()


def with_first_block(change: Callable[[torch.Tensor], Any]) -> dict[str, Any]:
    """One tensor of the body in another form."""
    state = weights()
    return {**state, FIRST_BLOCK: change(state[FIRST_BLOCK])}


def endless() -> dict[str, Any]:
    content: dict[str, Any] = {}
    content['state_dict'] = content
    return content


EXECUTED = r'holds Python objects besides tensors \(\w+\.mkdir\), which are never executed'
DAMAGED = r'is damaged, truncated or no checkpoint at all'
FIRST_BLOCK = 'layer1.0.conv1.weight'
NOT_PLAIN = rf'has a tensor under {FIRST_BLOCK} of 8x64x1x1 numbers, .* which are not all stored'
GROUP_NORM = dict(type='GN', num_groups=2)
#: what is wrong -> the file, and what its error says
BAD_FILES: dict[str, tuple[Callable[[Path], bytes], str]] = {
    'hostile': (lambda path: zipped({'state_dict': weights(), 'extra': call(path)}), EXECUTED),
    'hostile and old': (lambda path: legacy({'state_dict': weights(), 'extra': call(path)}), EXECUTED),
    'a plain pickle': (lambda path: pickle.dumps(call(path), protocol=2), EXECUTED),
    'a newer pickle': (lambda path: pickle.dumps(call(path), protocol=4), DAMAGED + r' \(UnpicklingError\)'),
    'a whole module': (lambda path: zipped(nn.Conv2d(1, 1, 1)), r'tensors \(torch\.nn\.modules\.conv\.Conv'),
    'truncated': (lambda path: half(zipped(weights())), DAMAGED + r' \(.+\); expected a PyTorch'),
    'truncated and old': (lambda path: half(legacy(weights())), DAMAGED),
    'a bomb': (lambda path: bomb(), DAMAGED + r' \(BadZipFile: its members are larger'),
    'deep metadata': (
        lambda path: safetensors(weights(), record='[' * 10**5),
        DAMAGED + r' \(RecursionError',
    ),
    'truncated safetensors': (lambda path: half(safetensors(weights())), DAMAGED + r' \(SafetensorError'),
    'a tar archive': (archive, r'is a tar archive, not weights'),
    'empty': (lambda path: b'', r'is empty; expected a PyTorch'),
    'a web page': (lambda path: b'\n<!DOCTYPE html><title>404</title>', r'is a web page, not weights'),
    'a pointer': (lambda path: b'version https://git-lfs.github.com/spec/v1\n', r'is a git-lfs pointer'),
    'gzip': (lambda path: b'\x1f\x8b\x08rest', r'is a gzip archive'),
}
WIDER, DEEPER = tiny(num_channels=(6, 8, 16, 32)), tiny(num_modules=3)
#: files that are in order, and of which none fits the model: what they hold, and what the error says
MISFITS: dict[str, tuple[Callable[[], Any], str]] = {
    'a list': (lambda: [1, 2], r'holds no weights \(found: list\); expected tensors by name'),
    'an optimizer': (lambda: {'optimizer': {}}, r'holds no weights \(found: optimizer\)'),
    'endless wrappers': (endless, r'holds no weights \(found: state_dict\)'),
    'complex numbers': (lambda: with_first_block(lambda x: x.to(torch.complex64)), NOT_PLAIN),
    'a sparse tensor': (lambda: with_first_block(torch.Tensor.to_sparse), NOT_PLAIN),
    'a tensor without data': (lambda: with_first_block(lambda x: x.to('meta')), NOT_PLAIN),
    'a repeated number': (lambda: with_first_block(lambda x: torch.zeros(1).expand(x.shape)), NOT_PLAIN),
    'quantized numbers': (
        lambda: with_first_block(lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8)),
        NOT_PLAIN,
    ),
    'odd keys': (lambda: {7: torch.ones(1), 'two\nlines': 0}, r'holds no weights \(found: 7, two lines\)'),
    'another network': (resnet, r'of another network than HRNet \(its keys begin conv1'),
    'two networks': (two_networks, r"several HRNets, under 'student\.', 'teacher\.'"),
    'another width': (
        lambda: weights(extra=WIDER),
        r'architecture \(channels 6/8/.*such as stage4\..*expected .* \(channels 4/8/16/32,',
    ),
    'another depth': (
        lambda: weights(extra=DEEPER),
        r'another architecture \(.* 1-2-3 modules .*\(.* 1-2-2 modules',
    ),
    'another norm': (lambda: weights(norm_cfg=GROUP_NORM), r'another architecture \('),
    'of two channels': (
        lambda: weights(in_channels=2),
        r'for images of 2 channels, and the model has in_channels=3; expected 3 or 3',
    ),
}


@pytest.mark.filterwarnings('ignore:Detected pickle protocol 4')
@pytest.mark.parametrize('what', [*BAD_FILES, *MISFITS])
def test_a_bad_file_is_one_clear_error_and_leaves_the_model(tmp_path: Path, what: str) -> None:
    path = tmp_path / 'file.pth'
    make, said = BAD_FILES[what] if what in BAD_FILES else MISFITS[what]
    path.write_bytes(make(path) if what in BAD_FILES else zipped(make()))
    model = scramble(build_ours('mmpretrain', init_cfg=dict(type='Pretrained', checkpoint=str(path))), seed=1)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for load in (lambda: load_weights(model, path), model.init_weights):
        with pytest.raises(CheckpointError, match=said) as caught:
            load()
        assert str(caught.value).startswith(f'checkpoint {path}: ')
        assert len(str(caught.value).splitlines()) == 1 and 'weights_only' not in str(caught.value)
        assert_close(dict(model.state_dict()), before, rel=0)
    if what in BAD_FILES:  # MMEngine reading a file says the same
        with pytest.raises(CheckpointError, match=said):
            load_checkpoint(nn.Linear(1, 1), str(path))
    assert not (tmp_path / 'executed').exists()
    if what in ('another network', 'hostile'):
        with pytest.raises(CheckpointError, match=said):
            convert_checkpoint(path, tmp_path / 'out.pth')
        assert not (tmp_path / 'out.pth').exists()


def test_what_is_no_file_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / 'a.pth'):
        with pytest.raises(CheckpointError, match=r'is not there; expected a PyTorch'):
            read_checkpoint(path)


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    state = weights()
    for name, write in (('a.pth', safetensors), ('a.pth.tar', legacy), ('a', zipped), ('b', safetensors)):
        (tmp_path / name).write_bytes(write(state))
        found = read_checkpoint(tmp_path / name).state
        assert_close(dict(sorted(found.items())), dict(sorted(state.items())), rel=0)


def test_what_else_a_training_file_holds_is_named(tmp_path: Path) -> None:
    content = dict(meta=dict(epoch=1), state_dict={**weights(), 'count': 3}, optimizer=dict(), message_hub={})
    torch.save(content, tmp_path / 'a.pth')
    checkpoint = read_checkpoint(tmp_path / 'a.pth')
    assert checkpoint.left == ('optimizer', 'message_hub', 'count')
    assert checkpoint.meta == dict(epoch=1)
