"""Checkpoints spoiled in every way we could think of, always the same ones."""

from __future__ import annotations

import io
import json
import os
import pickletools
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

State = dict[str, torch.Tensor]

_ABSURD = (-1, 0, 1, 255, 2**15, 2**31 - 1, -(2**31), 2**40, 2**62, 2**63 - 1, -(2**63))
_BOMB = 2**28  # bytes, of zeros


class Canary:
    """Pickles to the creation of a folder, by one function or another."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.reduced


# -- the formats ----------------------------------------------------------------------------------


def zipped(content: Any) -> bytes:
    return _saved(content, zipped=True)


def legacy(content: Any) -> bytes:
    return _saved(content, zipped=False)


def safetensors(content: Any) -> bytes:
    from safetensors.torch import save

    return save(content, metadata={'hrnet_mm': json.dumps({'upsample_cfg': {'mode': 'nearest'}})})


def tarred(content: Any) -> bytes:
    """What torch 0.1 wrote was a tar archive; ours holds a file of today."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode='w', format=tarfile.PAX_FORMAT) as tar:
        data = zipped(content)
        member = tarfile.TarInfo('tensors')
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    return file.getvalue()


def _saved(content: Any, *, zipped: bool) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


#: name of a file -> how it is written
FORMATS: Mapping[str, Callable[[Any], bytes]] = {
    'zip.pth': zipped,
    'legacy.pth': legacy,
    'legacy.pth.tar': legacy,
    'tarred.tar': tarred,
    'a.safetensors': safetensors,
}


# -- bytes ----------------------------------------------------------------------------------------


def _place(rng: random.Random, size: int) -> int:
    """Anywhere, but as often near an end, where formats keep what they say of themselves."""
    near = min(size, 2048)
    return rng.choice([rng.randrange(size), rng.randrange(near), size - 1 - rng.randrange(near)])


def flip_bits(data: bytes, rng: random.Random) -> bytes:
    spoiled = bytearray(data)
    for _ in range(rng.choice([1, 1, 8, 64, 512])):
        spoiled[_place(rng, len(data))] ^= 1 << rng.randrange(8)
    return bytes(spoiled)


def truncate(data: bytes, rng: random.Random) -> bytes:
    return data[: _place(rng, len(data))]


def cut_out(data: bytes, rng: random.Random) -> bytes:
    start = _place(rng, len(data))
    return data[:start] + data[start + rng.choice([1, 7, 64, 5000]) :]


def repeat(data: bytes, rng: random.Random) -> bytes:
    start = _place(rng, len(data))
    end = start + rng.choice([1, 7, 64, 5000])
    return data[:end] + data[start:end] + data[end:]


def blank(data: bytes, rng: random.Random) -> bytes:
    start, length = _place(rng, len(data)), rng.choice([4, 64, 5000])
    return (
        data[:start] + rng.choice([b'\0', b'\xff']) * min(length, len(data) - start) + data[start + length :]
    )


def absurd_number(data: bytes, rng: random.Random) -> bytes:
    number, code = rng.choice(_ABSURD), rng.choice(['<q', '<i'])
    packed = struct.pack('<q', number)[: struct.calcsize(code)]
    start = _place(rng, len(data) - 8)
    return data[:start] + packed + data[start + len(packed) :]


BYTES = (flip_bits, truncate, cut_out, repeat, blank, absurd_number)


# -- what a pickle says ---------------------------------------------------------------------------


def absurd_pickle(data: bytes, rng: random.Random) -> bytes:
    """A number in a pickle (a size, a stride, an offset, an entry of its memo), replaced."""
    found = [
        (start, end)
        for name, _, start, end in _operations(data)
        if name in ('BININT', 'BININT1', 'BININT2', 'LONG1')
    ]
    start, end = rng.choice(found)
    number = rng.choice([*_ABSURD, rng.randrange(2000)])
    return data[:start] + b'\x8a\x08' + struct.pack('<q', number) + data[end:]


def swapped_pickle(data: bytes, rng: random.Random) -> bytes:
    """Two words of a pickle swapped: keys, kinds of storages, names of members."""
    words = [(s, e) for name, _, s, e in _operations(data) if name in ('BINUNICODE', 'GLOBAL', 'BININT1')]
    (a, b), (c, d) = sorted(rng.sample(words, 2))
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def _operations(data: bytes) -> list[tuple[str, Any, int, int]]:
    found: list[tuple[str, Any, int]] = []
    try:
        for operation, argument, position in pickletools.genops(data):
            found.append((operation.name, argument, position or 0))
    except ValueError:  # what follows is no pickle
        pass
    ends = [position for _, _, position in found[1:]]
    return [(name, value, start, end) for (name, value, start), end in zip(found, ends, strict=False)]


def _legacy_pickle(data: bytes, rng: random.Random, change: Callable[..., bytes]) -> bytes:
    """The fourth pickle of a legacy file is the content's; three short ones precede it."""
    start = 0
    for _ in range(3):
        file = io.BytesIO(data[start:])
        for _ in pickletools.genops(file):
            pass
        start += file.tell()
    return data[:start] + change(data[start:], rng)


def _zip_member(data: bytes, rng: random.Random, change: Callable[..., bytes]) -> bytes:
    """The zip written anew, all checksums right, with another pickle."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, 'w') as new:
        for member in old.infolist():
            content = old.read(member)
            new.writestr(member.filename, change(content, rng) if _is_pickle(member) else content)
    return out.getvalue()


def _is_pickle(member: zipfile.ZipInfo) -> bool:
    return member.filename.endswith('/data.pkl')


# -- what a zip and a header of safetensors say ----------------------------------------------------


def zip_bomb(data: bytes, rng: random.Random) -> bytes:
    """A member that unpacks to a quarter of a gigabyte: the pickle, a tensor, or another one."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED) as new:
        bomb = rng.choice([member.filename for member in old.infolist()])
        for member in old.infolist():
            with new.open(member.filename, 'w', force_zip64=True) as file:
                file.write(old.read(member))
                for _ in range(_BOMB >> 22 if member.filename == bomb else 0):
                    file.write(bytes(1 << 22))
    return out.getvalue()


def forged_directory(data: bytes, rng: random.Random) -> bytes:
    """Sizes and offsets in the zip's directory, replaced."""
    places = [i for i in range(len(data)) if data[i : i + 4] == b'PK\x01\x02']
    start = rng.choice(places) + rng.choice([10, 20, 24, 42])
    width = 2 if start % 2 else 4
    return data[:start] + struct.pack('<q', rng.choice(_ABSURD))[:width] + data[start + width :]


def absurd_header(data: bytes, rng: random.Random) -> bytes:
    """An entry of a safetensors header, replaced; or the header's length."""
    (length,) = struct.unpack('<Q', data[:8])
    header, rest = json.loads(data[8 : 8 + length]), data[8 + length :]
    if rng.random() < 0.2:
        return struct.pack('<q', rng.choice(_ABSURD)) + data[8:]
    entry = header[rng.choice([key for key in header if key != '__metadata__'])]
    other = header[rng.choice([key for key in header if key != '__metadata__'])]
    match rng.randrange(5):
        case 0:
            entry['shape'] = [rng.choice(_ABSURD)] * rng.randrange(6)
        case 1:
            entry['data_offsets'] = other['data_offsets']
        case 2:
            entry['dtype'] = rng.choice(['F64', 'I8', 'BOOL', 'F8_E4M3', 'X', 'F16'])
        case 3:
            entry['shape'], other['shape'] = other['shape'], entry['shape']
        case 4:
            header['__metadata__'] = {
                'hrnet_mm': rng.choice(['[' * 10**5, '5', '{"upsample_cfg": 5}', '"\\u0000'])
            }
    text = json.dumps(header).encode()
    return struct.pack('<Q', len(text)) + text + rest


# -- what a checkpoint holds -----------------------------------------------------------------------


def _pick(state: State, rng: random.Random) -> str:
    return rng.choice(list(state))


def swapped_shapes(state: State, rng: random.Random, folder: Path) -> Any:
    one, other = _pick(state, rng), _pick(state, rng)
    return {**state, one: state[other], other: state[one]}


def another_shape(state: State, rng: random.Random, folder: Path) -> Any:
    key = _pick(state, rng)
    value = state[key]
    shapes = [value.reshape(-1), value.unsqueeze(0), value[None, None], value.sum(), value.reshape(-1)[:0]]
    return {**state, key: rng.choice([*shapes, torch.zeros((1,) * 40), torch.zeros(0, 2**40)])}


def absurd_view(state: State, rng: random.Random, folder: Path) -> Any:
    """A tensor of a petabyte that is one number, seen again and again."""
    return {**state, _pick(state, rng): torch.zeros(1).expand(2**48)}


def another_kind(state: State, rng: random.Random, folder: Path) -> Any:
    key = _pick(state, rng)
    value = state[key].float()
    kinds: list[Any] = [
        value.to(torch.complex64),
        value.to_sparse(),
        value.to('meta'),
        torch.quantize_per_tensor(value, 0.1, 0, torch.qint8),
        value.bool(),
        value.double() * float('nan'),
        value.to(torch.float8_e4m3fn),
        torch.nn.Parameter(value),
        value.tolist(),
        None,
        'a weight',
    ]
    return {**state, key: rng.choice(kinds)}


def another_key(state: State, rng: random.Random, folder: Path) -> Any:
    key = _pick(state, rng)
    keys: list[Any] = [
        7,
        None,
        (key,),
        '',
        key + '\n',
        'x' * 10**5,
        f'stage4.{"9" * 5000}.fuse_layers.0.0.weight',
    ]
    rest = {name: value for name, value in state.items() if name != key or rng.random() < 0.5}
    return {**rest, rng.choice(keys): state[key]}


def wrapped(state: State, rng: random.Random, folder: Path) -> Any:
    """Weights where weights are looked for, or where nothing is."""
    around: dict[str, Any] = {}
    around['state_dict'] = around  # for ever
    deep: Any = state
    for _ in range(rng.choice([2, 50, 200])):
        deep = {'model': deep}
    meta = {
        'hrnet_mm': rng.choice([5, {'upsample_cfg': {'mode': ['nearest']}}, {'upsample_cfg': {'mode': None}}])
    }
    return rng.choice([around, deep, {'meta': meta, 'state_dict': state}, [state], {'state_dict': [state]}])


def canary(state: State, rng: random.Random, folder: Path) -> Any:
    """What would be executed, in any place, among weights that are in order."""
    mark = str(folder / 'executed')
    calls = [
        Canary(os.mkdir, mark),
        Canary(os.system, f'mkdir {mark}'),
        Canary(eval, f'__import__("os").mkdir({mark!r})'),
        Canary(exec, f'import os; os.mkdir({mark!r})'),
        Canary(torch.load, mark),
        Canary(torch.hub.load_state_dict_from_url, f'file://{mark}'),
        Canary(Path, mark),
    ]
    hidden = rng.choice(calls)
    places: list[Any] = [
        {**state, 'extra': hidden},
        {'state_dict': state, 'meta': hidden},
        {'state_dict': state, 'optimizer': {'state': [hidden]}},
        {**state, _pick(state, rng): hidden},
        hidden,
    ]
    return rng.choice(places)


CONTENT = (swapped_shapes, another_shape, absurd_view, another_kind, another_key, wrapped, canary)
#: of which safetensors can write these
_TENSORS_ALONE = (swapped_shapes,)

#: name of a file -> changes of its own structure
STRUCTURE: Mapping[str, tuple[Callable[[bytes, random.Random], bytes], ...]] = {
    'zip.pth': (
        lambda data, rng: _zip_member(data, rng, absurd_pickle),
        lambda data, rng: _zip_member(data, rng, absurd_pickle),
        lambda data, rng: _zip_member(data, rng, swapped_pickle),
        lambda data, rng: _zip_member(data, rng, flip_bits),
        forged_directory,
    ),
    'legacy.pth': (
        lambda data, rng: _legacy_pickle(data, rng, absurd_pickle),
        lambda data, rng: _legacy_pickle(data, rng, swapped_pickle),
    ),
    'legacy.pth.tar': (lambda data, rng: _legacy_pickle(data, rng, absurd_pickle),),
    'tarred.tar': (),
    'a.safetensors': (absurd_header, absurd_header),
}


def mutants(name: str, state: State, folder: Path, *, rounds: int) -> Iterator[tuple[str, bytes]]:
    """What was done, and the file that came of it; each change is made ``rounds`` times.

    Args:
        name: of a format.
        state: the weights to spoil.
        folder: where something executed would leave its mark.
    """
    write, rng = FORMATS[name], random.Random(name)
    good = write(state)
    for number in range(rounds):
        for change in (*BYTES, *STRUCTURE[name]):
            yield f'{change.__name__} {number}', change(good, rng)
        for spoil in _TENSORS_ALONE if name == 'a.safetensors' else CONTENT:
            yield f'{spoil.__name__} {number}', write(spoil(state, rng, folder))
    if name == 'zip.pth':
        for number in range(3):
            yield f'zip_bomb {number}', zip_bomb(good, rng)
