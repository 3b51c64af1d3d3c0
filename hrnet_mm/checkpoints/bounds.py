"""A file's tensors lie inside the file: the sizes that a forged one claims cost no memory."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping

import torch
from torch import Tensor

from .errors import CheckpointError

#: how the files begin that torch.save has written since 1.6
ZIP_START = b'PK\x03\x04'


class ForgedFileError(ValueError):
    """A file that claims more than it holds."""


def check_zip(path: str | os.PathLike[str]) -> None:
    """Make sure, before anything is unpacked, that a zip unpacks to no more than its own size.

    Raises:
        ForgedFileError: its members are larger than the file. torch does not compress: they are a bomb, or
            forged.
    """
    with zipfile.ZipFile(path) as archive:
        claimed = sum(member.file_size for member in archive.infolist())
    if claimed > os.path.getsize(path):
        raise ForgedFileError('its members are larger than the file')


def check_plain(state: Mapping[str, Tensor], *, source: object) -> None:
    """Make sure that tensors can be copied to weights: dense, real, and no larger than their data.

    Raises:
        CheckpointError: one is not.
    """
    for name, value in state.items():
        what = _oddity(value)
        if what is not None:
            raise CheckpointError(
                source=source,
                problem=f'has a {what} tensor under {name}',
                expected='dense tensors of real numbers',
            )


def _oddity(value: Tensor) -> str | None:
    """What keeps a tensor from being copied to a weight."""
    if value.layout != torch.strided:
        return str(value.layout).removeprefix('torch.')
    if value.is_meta or value.is_quantized or value.is_nested:
        return 'meta' if value.is_meta else 'quantized' if value.is_quantized else 'nested'
    if value.is_complex():
        return 'complex'
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        return (
            f'forged ({"x".join(map(str, value.shape))} numbers in {value.untyped_storage().nbytes()} bytes)'
        )
    return None
