"""``model-index.yml`` and its metafiles: what ``mim search hrnet_mm`` reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from .entries import TASKS, ZooEntry

_COLLECTION: dict[str, Any] = {
    'Name': 'HRNet',
    'Metadata': {'Architecture': ['HRNet']},
    'Paper': {
        'URL': 'https://arxiv.org/abs/1908.07919',
        'Title': 'Deep High-Resolution Representation Learning for Visual Recognition',
    },
    'README': 'docs/model_zoo.md',
}
_HEADER = '# Made by python tools/dev/model_zoo.py from the configs themselves.\n'


def index_files(entries: Sequence[ZooEntry]) -> dict[str, str]:
    """Path from the root of the project -> text, of the index and of one metafile for each codebase."""
    metafiles = {
        f'configs/metafile_{codebase}.yml': _metafile(
            [entry for entry in entries if entry.codebase == codebase], task
        )
        for codebase, task in TASKS.items()
    }
    return {'model-index.yml': _yaml({'Import': list(metafiles)}), **metafiles}


def _metafile(entries: Sequence[ZooEntry], task: str) -> str:
    return _yaml({'Collections': [_COLLECTION], 'Models': [_model(entry, task) for entry in entries]})


def _model(entry: ZooEntry, task: str) -> dict[str, Any]:
    """One model; without weights and metrics, because none of ours was trained and measured."""
    return {
        'Name': entry.name,
        'In Collection': _COLLECTION['Name'],
        'Config': f'configs/{entry.config}',
        'Metadata': {
            'Training Data': entry.data,
            'Parameters': entry.size.params,
            'MACs': entry.size.macs,
            'Input Size': 'x'.join(map(str, entry.shape)),
        },
        'Results': [{'Task': task, 'Dataset': entry.data}],
    }


def _yaml(content: object) -> str:
    return _HEADER + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)
