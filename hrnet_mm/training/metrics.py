"""Metrics as plain numbers, as a table and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def as_floats(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Evaluator results as plain floats, under the evaluator's names.

    Lists and tensors (one value per class) become ``name[0]``, ``name[1]``, ...; text is dropped.
    """
    return {name: value for key, entry in metrics.items() for name, value in _flat(key, entry)}


def metrics_table(metrics: Mapping[str, float]) -> str:
    """Two aligned columns, metric and value, under a heading."""
    rows = [('metric', 'value'), *((name, f'{value:.4f}') for name, value in metrics.items())]
    left = max(len(name) for name, _ in rows)
    right = max(len(value) for _, value in rows)
    lines = [f'{name:<{left}}  {value:>{right}}' for name, value in rows]
    return '\n'.join([lines[0], f'{"-" * left}  {"-" * right}', *lines[1:]])


def write_metrics(path: str | Path, metrics: Mapping[str, float], *, config: str, checkpoint: str) -> None:
    """Write ``{"config": ..., "checkpoint": ..., "metrics": {name: value}}``.

    A metric that is not a number (the IoU of a class that never occurs) is written as null, since
    JSON has no NaN.
    """
    values = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
    record = {'config': config, 'checkpoint': checkpoint, 'metrics': values}
    Path(path).write_text(json.dumps(record, indent=2) + '\n', encoding='utf-8')


def _flat(key: str, entry: Any) -> Iterator[tuple[str, float]]:
    if hasattr(entry, 'tolist'):  # numpy and torch, scalars and arrays alike
        entry = entry.tolist()
    if isinstance(entry, (list, tuple)):
        for index, item in enumerate(entry):
            yield from _flat(f'{key}[{index}]', item)
    elif isinstance(entry, (int, float)):
        yield key, float(entry)
