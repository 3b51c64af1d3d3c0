"""One run of ``infer``, and its JSON read back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hrnet_mm.inference import NetworkFiles, Outcome, Settings, infer

Networks = Callable[[str], NetworkFiles]


def look(
    source: str, files: NetworkFiles | list[NetworkFiles], **options: Any
) -> tuple[Outcome, dict[str, Any]]:
    """Run, and read the JSON back."""
    others = {key: options.pop(key) for key in ('detector', 'boxes') if key in options}
    settings = Settings(**{'json': 'found.json', 'progress': False, 'device': 'cpu', **options})
    networks = files if isinstance(files, list) else [files]
    outcome = infer(source, networks, settings=settings, **others)
    return outcome, json.loads(Path('found.json').read_text())


def numbers(entry: Any) -> np.ndarray:
    """All numbers of a JSON value, in order."""
    if isinstance(entry, dict):
        entry = [value for value in entry.values() if not isinstance(value, str)]
    if isinstance(entry, list):
        return np.concatenate([np.zeros(0), *map(numbers, entry)])
    return np.array([entry], float)
