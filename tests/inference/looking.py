"""One run of ``infer``, and its JSON read back."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from small_networks import Files

from hrnet_mm.inference import Network, Outcome, infer

Networks = Callable[[str], Files]


def look(
    source: str,
    files: Files | list[Files],
    *,
    detector: Files | None = None,
    device: str = 'cpu',
    fast: bool = False,
    **options: Any,
) -> tuple[Outcome, dict[str, Any]]:
    """Run, and read the JSON back."""
    how: dict[str, Any] = {'device': device, 'fast': fast}
    networks = [Network(*each, **how) for each in (files if isinstance(files, list) else [files])]
    if detector is not None:
        options['detector'] = Network(*detector, key='--detector', **how)
    outcome = infer(source, networks, **{'json': 'found.json', 'progress': False, **options})
    return outcome, json.loads(Path('found.json').read_text())


def numbers(entry: Any) -> np.ndarray:
    """All numbers of a JSON value, in order."""
    if isinstance(entry, dict):
        entry = [value for value in entry.values() if not isinstance(value, str)]
    if isinstance(entry, Sequence):
        return np.concatenate([np.zeros(0), *map(numbers, entry)])
    return np.array([entry], float)
