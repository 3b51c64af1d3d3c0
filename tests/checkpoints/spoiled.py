"""Checkpoints as bytes in three formats, and objects whose pickle is a call."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import torch


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


def safetensors(content: Any, *, record: str = '{"upsample_cfg": {"mode": "nearest"}}') -> bytes:
    from safetensors.torch import save

    return save(content, metadata={'hrnet_mm': record})
