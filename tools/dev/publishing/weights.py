"""Weights that the packages publish and that fit one of our configs, by building both without memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from mmengine.config import Config

from hrnet_mm.analysis import shape_of
from hrnet_mm.checkpoints import Checkpoint, CheckpointError, fit
from hrnet_mm.config.build import build_model
from hrnet_mm.config.files import shipped_configs_folder
from hrnet_mm.config.load import load_config
from hrnet_mm.config.paths import iter_datasets, type_name
from hrnet_mm.inference.lookup import published_models

_NEAR = 0.01  # of the parameters: layouts differ by biases


@dataclass(frozen=True)
class PublishedWeights:
    """A package's model: its name for ``tools/infer.py``, and the first metric that its publisher states."""

    name: str
    metric: str
    value: float

    def __str__(self) -> str:
        return f'`{self.name}`: {self.metric} {self.value:g}'


def published_weights(cfg: Config) -> PublishedWeights | None:
    """Of the published weights that fit a config, were trained on its data and read as it reads, the best."""
    model, use = build_model(cfg, device='meta'), _use(cfg)
    size = sum(value.numel() for value in model.state_dict().values())
    found = []
    for weights, state, others_use in _peers(cfg.default_scope):
        others_size = sum(value.numel() for value in state.values())
        if use != others_use or abs(size - others_size) > _NEAR * size:
            continue
        try:
            report = fit(model, Checkpoint(weights.name, state, {}, ())).report
        except CheckpointError:
            continue
        if not report.misfits and not report.missing:
            found.append(weights)
    return max(found, key=lambda weights: weights.value, default=None)


def _use(cfg: Config) -> Any:
    """What weights depend on beside shapes: model, data, and the images of pose and classification."""
    data = {type_name(each['type']) for _, each in iter_datasets(cfg, stages=('train',))}
    head = cfg.model.get('head') or {}
    is_fixed = cfg.default_scope in ('mmpose', 'mmpretrain')
    return type_name(cfg.model.type), data, is_fixed and shape_of(cfg), head.get('decoder')


@cache
def _peers(scope: str) -> list[tuple[PublishedWeights, dict[str, Any], Any]]:
    return list(_built_peers(scope))


def _built_peers(scope: str) -> Iterator[tuple[PublishedWeights, dict[str, Any], Any]]:
    """Every published model with an HRNet, on the meta device."""
    folder = shipped_configs_folder(scope).parent
    for entry in published_models(folder):
        metrics = _metrics(entry)
        if 'hrnet' in entry['Config'] and metrics and (folder / entry['Config']).is_file():
            cfg = load_config(folder / entry['Config'])
            metric, value = next(iter(metrics.items()))
            weights = PublishedWeights(f'{scope}::{entry["Name"]}', metric, float(value))
            yield weights, build_model(cfg, device='meta').state_dict(), _use(cfg)


def _metrics(entry: Mapping[str, Any]) -> dict[str, Any]:
    results = entry.get('Results') or {}
    first = results[0] if isinstance(results, list) else results
    return {
        name: value for name, value in (first.get('Metrics') or {}).items() if isinstance(value, (int, float))
    }
