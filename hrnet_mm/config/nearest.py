"""What a misspelt name was probably meant to be."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

#: Of difflib: two of these share nearly all their letters, as ``batchsize`` and ``batch_size``.
_NEARLY_THE_SAME = 0.86
_NUMBER = re.compile(r'\d+')


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like this one, if one is like it at all."""
    return next(iter(difflib.get_close_matches(name, known, n=1)), None)


def misspelt(name: str, known: Iterable[str]) -> str | None:
    """The known name that this one, itself unknown, is a misspelling of.

    Names that differ in their numbers alone (``stage2``, ``stage3``) are no misspellings of each other.
    """
    others = [other for other in known if _NUMBER.sub('', other) != _NUMBER.sub('', name)]
    return next(iter(difflib.get_close_matches(name, others, n=1, cutoff=_NEARLY_THE_SAME)), None)
