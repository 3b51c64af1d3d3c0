"""Keeping torch.compile out of a method."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import torch

Result = TypeVar('Result')


def uncompiled(method: Callable[..., Result]) -> Callable[..., Result]:
    """``method``, which a compiled model calls as it is.

    ``torch.compiler.disable`` does the same, but imports the compiler at once: a third of the time that
    ``import hrnet_mm`` takes. Here it is imported where it already is, in a compiled program.
    """

    @wraps(method)
    def call(*args: Any) -> Result:
        if torch.compiler.is_compiling():
            result: Result = torch.compiler.disable(method)(*args)
            return result
        return method(*args)

    return call
