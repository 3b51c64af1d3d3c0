"""From a config and an architecture to a config with that HRNet, checked."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..config.errors import ConfigError
from .building import build_to_look
from .checking import require_running
from .config_text import config_text
from .levels import without_weights
from .old_weights import has_weights
from .optimizer import adapt_optimizer, names_layers
from .overlay import overlay
from .request import Necks, SwapRequest
from .rules import RULES
from .source import Source, read_source
from .summary import summarise

_OURS = 'hrnet_mm'


@dataclass(frozen=True)
class Swap:
    """A swapped config.

    Attributes:
        cfg: The whole of it.
        text: The file that inherits the old config and says what differs.
        summary: What changed, one line each.
    """

    cfg: Config
    text: str
    summary: str


def swap_config(
    name: str | Path,
    *,
    arch: str,
    necks: Necks = 'keep',
    out: str | Path | None = None,
    overwrite: bool = False,
    proof: bool = True,
) -> Swap:
    """Put an HRNet under the model of a config.

    Args:
        name: A config file of mmdet, mmseg, mmpose or mmpretrain, or ``'mmdet::...'`` for one that a
            package was installed with.
        arch: One of ``NAMED_ARCHS``.
        necks: ``'keep'`` the config's neck, put ``'hrfpn'`` in its place, or gather all streams by ``'v2'``.
        out: File to write. Without one nothing is written.
        overwrite: Whether ``out`` may be there already.
        proof: Run the new model forward, to its loss and to a prediction on random input before writing.

    Raises:
        ConfigError: an argument is wrong, or the config cannot be read.
        SwapRefused: a part of the model stands in the way; nothing is written.
    """
    request = SwapRequest(arch=arch, necks=necks)
    source = read_source(name)
    heir = None if out is None else Path(out)
    if heir is not None:
        _require_writable(heir, source=source, overwrite=overwrite)
    wanted = swapped(source, request)
    tried = require_running(wanted, source=source, proof=proof)
    old, new = source.cfg.to_dict(), wanted.to_dict()
    text = config_text(source.base_name(heir), overlay(old, new))
    if heir is not None:
        heir.write_text(text, encoding='utf-8')
    notes = [note for note in (_lost_weights(old, new, arch=arch), tried) if note]
    return Swap(cfg=wanted, text=text, summary='\n'.join([summarise(old, new), *notes]))


def default_out(name: str | Path, *, arch: str) -> Path:
    """Where the tool writes if it is not told: beside nothing of others, in the current folder."""
    return Path(f'{Path(str(name)).stem}_hrnet_{arch}.py')


def swapped(source: Source, request: SwapRequest) -> Config:
    """The whole config with HRNet in it, not yet checked.

    Raises:
        SwapRefused: a part of the model stands in the way.
    """
    cfg = copy.deepcopy(source.cfg)
    RULES[source.scope](cfg, request)
    if names_layers(cfg):
        before = _backbone_names(source.cfg.model, source.scope)
        adapt_optimizer(cfg, before=before, after=_parameter_names(cfg.model, source.scope))
    if cfg.get('load_from'):
        cfg.load_from = None  # weights of the old network
    cfg.custom_imports = _with_ours(cfg.get('custom_imports') or {})
    cfg.default_hooks = {**(cfg.get('default_hooks') or {}), 'weights': {'type': 'hrnet_mm.HRNetWeightsHook'}}
    return cfg


def _with_ours(custom_imports: Mapping[str, Any]) -> dict[str, Any]:
    before = custom_imports.get('imports') or []
    imports = [before] if isinstance(before, str) else list(before)
    return {**custom_imports, 'imports': imports if _OURS in imports else [*imports, _OURS]}


def _lost_weights(old: Mapping[str, Any], new: Mapping[str, Any], *, arch: str) -> str | None:
    had, has = has_weights(old['model'], load_from=old.get('load_from')), has_weights(new['model'])
    if has or not had:
        return None
    return f'no ImageNet weights of {arch} are known: training starts from random weights'


def _require_writable(out: Path, *, source: Source, overwrite: bool) -> None:
    if out.suffix != '.py':
        raise ConfigError(key='-o', value=str(out), expected='a file name that ends in .py')
    if out.resolve() == source.path.resolve():
        raise ConfigError(key='-o', value=str(out), expected='another file than the config that it inherits')
    if not out.absolute().parent.is_dir():
        raise ConfigError(key='-o', value=str(out), expected='a file in a folder that exists')
    if out.exists() and not overwrite:
        raise ConfigError(key='-o', value=str(out), expected='a new file, or --force to write over this one')


def _backbone_names(model: Mapping[str, Any], scope: str) -> list[str]:
    """Names of the old backbone's parameters in the whole model."""
    backbone = model.get('backbone')
    if not isinstance(backbone, Mapping):
        return []
    names = _parameter_names(without_weights(backbone), scope)
    return [f'backbone.{name}' for name in names]


def _parameter_names(module: Mapping[str, Any], scope: str) -> list[str]:
    """Names of all parameters, none if it cannot be built: building is tried, and judged, elsewhere."""
    try:
        return [name for name, _ in build_to_look(module, scope=scope).named_parameters()]
    except Exception:  # other people's code, and registries of old such as mmpose's mmcls.VisionTransformer
        return []
