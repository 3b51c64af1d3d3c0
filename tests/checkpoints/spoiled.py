"""Checkpoints spoiled in chosen ways: bytes, containers, pickles, headers, contents, calls."""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

State = dict[str, torch.Tensor]
_BOMB = 2**28  # bytes, of zeros
_HUGE = struct.pack('<q', 2**62)


class Calls:
    """Pickles to the call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


def zipped(content: Any, *, zipped: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def legacy(content: Any) -> bytes:
    return zipped(content, zipped=False)


def safetensors(content: Any) -> bytes:
    from safetensors.torch import save

    return save(content, metadata={'hrnet_mm': json.dumps({'upsample_cfg': {'mode': 'nearest'}})})


def spoiled_bytes(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Where formats say something of themselves, at both ends, and in the middle, where the numbers are."""
    middle = len(data) // 2
    yield 'half', data[:middle]
    yield 'all but the last byte', data[:-1]
    yield '64 bytes cut out', data[:200] + data[264:]
    yield '5000 bytes blank', data[:middle] + bytes(5000) + data[middle + 5000 :]
    yield 'a bit of the beginning', data[:9] + bytes([data[9] ^ 1]) + data[10:]
    yield 'an absurd number at the beginning', data[:40] + _HUGE + data[48:]


def spoiled_zips(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Bombs, and false sizes in the directory."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {member.filename: archive.read(member) for member in archive.infolist()}
    pickled = next(name for name in members if name.endswith('/data.pkl'))
    yield 'a bomb in the pickle', _zip(members, bomb=pickled)
    yield 'a bomb beside', _zip({**members, 'archive/other': b''}, bomb='archive/other')
    entry = data.index(b'PK\x01\x02')
    for field in (24, 42):  # plain size, and offset
        yield f'a false entry at {field}', data[: entry + field] + _HUGE[4:] + data[entry + field + 4 :]


def _zip(members: dict[str, bytes], *, bomb: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            with archive.open(name, 'w', force_zip64=True) as file:
                file.write(content)
                for _ in range(_BOMB >> 22 if name == bomb else 0):
                    file.write(bytes(1 << 22))
    return out.getvalue()


def spoiled_headers(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The JSON header of a safetensors file."""
    (length,) = struct.unpack('<Q', data[:8])
    header, rest = json.loads(data[8 : 8 + length]), data[8 + length :]
    first, second = [key for key in header if key != '__metadata__'][:2]

    def with_entry(name: str, **entry: Any) -> bytes:
        text = json.dumps({**header, name: {**header[name], **entry}}).encode()
        return struct.pack('<Q', len(text)) + text + rest

    yield 'an absurd length', _HUGE + data[8:]
    yield 'a huge shape', with_entry(first, shape=[2**40, 2**40])
    yield "another's data", with_entry(first, data_offsets=header[second]['data_offsets'])
    yield 'a narrower dtype', with_entry(first, dtype='F16')
    yield 'deep JSON for metadata', with_entry('__metadata__', hrnet_mm='[' * 10**5)


def spoiled_contents(state: State) -> Iterator[tuple[str, Any]]:
    """Tensors, keys and wrappers that no training writes."""
    key = 'layer1.0.conv1.weight'
    value = state[key].float()
    rest = {name: other for name, other in state.items() if name != key}
    tensors: dict[str, Any] = {
        'flat': value.reshape(-1),
        'empty': torch.zeros(0, 2**40),
        'of a petabyte': torch.zeros(1).expand(2**48),
        'complex': value.to(torch.complex64),
        'sparse': value.to_sparse(),
        'without data': value.to('meta'),
        'quantized': torch.quantize_per_tensor(value, 0.1, 0, torch.qint8),
        'NaN': value * float('nan'),
        'a list': value.tolist(),
    }
    yield from ((f'a weight that is {what}', {**state, key: tensor}) for what, tensor in tensors.items())
    fusion = f'stage4.{"9" * 5000}.fuse_layers.0.0.weight'
    for name in (7, (key,), f'{key}\n', 'x' * 10**5, fusion):
        yield f'the key {str(name)[:20]!r}', {**rest, name: value}
    endless: dict[str, Any] = {}
    endless['state_dict'] = endless
    deep: Any = state
    for _ in range(200):
        deep = {'model': deep}
    yield from {'endless wrappers': endless, '200 wrappers': deep, 'a list': [state]}.items()
    meta = {'hrnet_mm': {'upsample_cfg': {'mode': ['nearest']}}}
    yield 'meta', {'meta': meta, 'state_dict': state}


def hostile_contents(state: State, mark: Path) -> Iterator[tuple[str, Any]]:
    """What would leave a folder if it were executed, among weights that are in order."""
    yield 'a call in the place of all', Calls(os.mkdir, str(mark))
    yield 'a call beside weights', {**state, 'extra': Calls(os.system, f'mkdir {mark}')}
    code = f'__import__("os").mkdir({str(mark)!r})'
    yield 'a call for a weight', {**state, 'conv1.weight': Calls(eval, code)}
    yield 'another load', {**state, 'extra': Calls(torch.load, str(mark))}


def spoiled_files(state: State, mark: Path) -> Iterator[tuple[str, bytes]]:
    """What was done, and the file that came of it."""
    good = {
        'zip': (zipped(state), spoiled_zips),
        'legacy': (legacy(state), lambda data: ()),
        'safetensors': (safetensors(state), spoiled_headers),
    }
    for name, (data, structure) in good.items():
        for what, content in (*spoiled_bytes(data), *structure(data)):
            yield f'{name}: {what}', content
    for i, (what, content) in enumerate([*spoiled_contents(state), *hostile_contents(state, mark)]):
        yield what, (legacy if i % 3 == 2 else zipped)(content)
