"""Every config that mmpose, mmseg, mmdet and mmpretrain ship and that resolves to an HRNet backbone."""

from __future__ import annotations

import copy
import importlib.util
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mmengine.config import Config
from peers import in_scope, models_of
from torch import nn

import hrnet_mm  # noqa: F401  registers HRNetBackbone

_BASE = re.compile(r'[\'"]([^\'"\s]+\.py)[\'"]')


@dataclass(frozen=True)
class Shipped:
    """One config, and the backbone dicts in its model."""

    scope: str
    name: str
    backbones: tuple[dict[str, Any], ...]


@cache
def shipped_configs(scope: str) -> tuple[Shipped, ...]:
    """All of a package's configs with an HRNet, in the order of their paths; bases are no configs."""
    root = configs_of(scope)
    found = []
    for path in sorted(root.rglob('*.py')):
        if '_base_' in path.relative_to(root).parts or not mentions_hrnet(path):
            continue
        backbones = tuple(hrnets_in(load(path).get('model')))
        if backbones:
            found.append(Shipped(scope, str(path.relative_to(root)), backbones))
    return tuple(found)


@cache
def distinct_backbones(scope: str) -> tuple[dict[str, Any], ...]:
    """The different backbone dicts in a package's configs."""
    found = {repr(cfg): cfg for config in shipped_configs(scope) for cfg in config.backbones}
    return tuple(found.values())


def configs_of(scope: str) -> Path:
    """The folder of configs that was installed with a package."""
    spec = importlib.util.find_spec(scope)
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / '.mim' / 'configs'


def load(path: Path) -> Config:
    """The config with its bases merged in."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return Config.fromfile(path)


@cache
def mentions_hrnet(path: Path) -> bool:
    """Whether a config or one of its bases has the word; reading text is quicker than merging configs."""
    text = path.read_text(encoding='utf-8')
    bases = (base_path(name, path.parent) for name in _BASE.findall(text))
    return 'HRNet' in text or any(mentions_hrnet(base) for base in bases if base.is_file())


def base_path(name: str, folder: Path) -> Path:
    """A base's file: beside its heir, or in another package (``mmdet::...``)."""
    package, separator, inside = name.rpartition('::')
    return configs_of(package) / inside if separator else (folder / name).resolve()


def hrnets_in(node: Any) -> Iterator[dict[str, Any]]:
    """Backbone dicts of type HRNet at any depth of a model, as the package hands them to its registry."""
    if isinstance(node, dict):
        if node.get('type') == 'HRNet':
            yield copy.deepcopy(dict(node))
        for key, value in node.items():
            # mmseg's segmentors move `pretrained` into the backbone
            given = {'pretrained': node['pretrained']} if key == 'backbone' and 'pretrained' in node else {}
            yield from (cfg | given for cfg in hrnets_in(value))
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from hrnets_in(value)


def swap(node: Any) -> None:
    """Change the one word, in place, at any depth of a model's dict."""
    if isinstance(node, dict):
        if node.get('type') == 'HRNet':
            node['type'] = 'HRNetBackbone'
        for value in node.values():
            swap(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            swap(value)


def build_both(scope: str, cfg: dict[str, Any]) -> tuple[nn.Module, nn.Module]:
    """The peer's backbone and ours from one dict, only the word changed, in the package's scope."""
    swapped = copy.deepcopy(cfg)
    swap(swapped)
    with in_scope(scope):
        registry = models_of(scope)
        return registry.build(copy.deepcopy(cfg)), registry.build(swapped)
