"""From a config and an architecture to a config with that HRNet, checked."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..config.build import build_light
from ..config.codebases import CODEBASES, require_scope
from ..config.errors import ConfigError
from ..config.files import find_config, shipped_configs_folder
from ..config.load import read_config
from ..config.model_check import check_model
from ..utils import atomic_write
from .backbones import has_weights, without_weights
from .overlay import config_text, overlay, summarise
from .proof import prove
from .request import Necks, SwapRefused, SwapRequest

_OURS = 'hrnet_mm'
#: What mmcv's operators say of a device that they were not written for.
_NO_OPERATOR = 'implementation for device'
#: Settings of the optimiser constructors that decay learning rates along the layers of one kind of network.
_LAYERWISE = ('decay_rate', 'layer_decay_rate', 'decay_type', 'num_layers')


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


@dataclass(frozen=True)
class Source:
    """The config that is to be swapped, as its file gives it.

    Attributes:
        path: Its file, absolute.
        cfg: What it says, with all of its bases.
        scope: The codebase it belongs to.
    """

    path: Path
    cfg: Config
    scope: str

    def base_name(self, heir: Path | None) -> str:
        """What an heir writes as ``_base_``: a package's name, or a path from the heir's folder."""
        for package in CODEBASES:
            try:
                folder = shipped_configs_folder(package).absolute()
            except ConfigError:  # not installed
                continue
            if self.path.is_relative_to(folder):
                return f'{package}::{self.path.relative_to(folder).as_posix()}'
        if heir is None:
            return self.path.as_posix()
        return Path(os.path.relpath(self.path, heir.absolute().parent)).as_posix()


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
    tried = _require_running(wanted, source=source, proof=proof)
    old, new = source.cfg.to_dict(), wanted.to_dict()
    text = config_text(source.base_name(heir), overlay(old, new))
    if heir is not None:
        with atomic_write(heir) as path:
            path.write_text(text, encoding='utf-8')
    lines = [summarise(old, new), tried]
    if (old.get('load_from') or has_weights(old['model'])) and not has_weights(new['model']):
        lines.insert(1, f'no ImageNet weights of {arch} are known: training starts from random weights')
    return Swap(cfg=wanted, text=text, summary='\n'.join(lines))


def _require_writable(out: Path, *, source: Source, overwrite: bool) -> None:
    for is_wrong, expected in (
        (out.suffix != '.py', 'a file name that ends in .py'),
        (out.resolve() == source.path.resolve(), 'another file than the config that it inherits'),
        (not out.absolute().parent.is_dir(), 'a file in a folder that exists'),
        (out.exists() and not overwrite, 'a new file, or --force to write over this one'),
    ):
        if is_wrong:
            raise ConfigError(key='-o', value=str(out), expected=expected)


def read_source(name: str | Path) -> Source:
    """Read a config by path or by ``package::path``.

    Raises:
        ConfigError: there is no such file, it cannot be read, or its codebase is not installed.
        SwapRefused: it holds no model of one of the four codebases, or cannot be inherited.
    """
    path = find_config(name).absolute()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        cfg = read_config(path)
    if path.suffix == '.py' and Config._is_lazy_import(str(path)):
        raise SwapRefused(
            'config', 'it is written with read_base(), and a config cannot inherit that by _base_'
        )
    scope = cfg.get('default_scope')
    if not isinstance(cfg.get('model'), dict):
        raise SwapRefused('model', 'the config has none: it is a part of other configs')
    if scope not in CODEBASES:
        raise SwapRefused('default_scope', f'{scope!r} is none of {", ".join(CODEBASES)}')
    require_scope(cfg)
    return Source(path=path, cfg=cfg, scope=scope)


def swapped(source: Source, request: SwapRequest) -> Config:
    """The whole config with HRNet in it, not yet checked.

    Raises:
        SwapRefused: a part of the model stands in the way.
    """
    cfg = copy.deepcopy(source.cfg)
    CODEBASES[source.scope].function('swap')(cfg, request)
    if (cfg.get('optim_wrapper') or {}).get('paramwise_cfg'):
        backbone = source.cfg.model.get('backbone')
        before = _parameter_names(without_weights(backbone), source.scope) if backbone else []
        after = _parameter_names(cfg.model, source.scope)
        adapt_optimizer(cfg, before=[f'backbone.{name}' for name in before], after=after)
    if cfg.get('load_from'):
        cfg.load_from = None  # weights of the old network
    imports = (cfg.get('custom_imports') or {}).get('imports') or []
    imports = [imports] if isinstance(imports, str) else list(imports)
    if _OURS not in imports:
        imports.append(_OURS)
    cfg.custom_imports = {**(cfg.get('custom_imports') or {}), 'imports': imports}
    cfg.default_hooks = {**(cfg.get('default_hooks') or {}), 'weights': {'type': 'hrnet_mm.HRNetWeightsHook'}}
    return cfg


def adapt_optimizer(cfg: Config, *, before: Collection[str], after: Collection[str]) -> None:
    """Forget what the optimiser's settings say about the old backbone, in place.

    Layer-wise decay counts the layers of a ViT, Swin or ConvNeXt, and HRNet's streams have no such order:
    the plain constructor takes its place. ``custom_keys`` that named parameters of the old backbone and none
    of the new model go, and with them those that name nothing at all.

    Args:
        cfg: The whole config, which has a ``paramwise_cfg``.
        before: Names of the old backbone's parameters, starting with ``backbone.``.
        after: Names of all parameters of the new model.
    """
    paramwise = cfg.optim_wrapper['paramwise_cfg']
    if any(key in paramwise for key in _LAYERWISE):
        cfg.optim_wrapper['constructor'] = 'DefaultOptimWrapperConstructor'
        for key in _LAYERWISE:
            paramwise.pop(key, None)
    keys = paramwise.get('custom_keys') or {}
    dead = [key for key in keys if not any(key in name for name in after)]
    if any(key in name for key in dead for name in before):
        for key in dead:
            del keys[key]


def _parameter_names(module: Mapping[str, Any], scope: str) -> list[str]:
    """Names of all parameters, none if it cannot be built: building is tried, and judged, elsewhere."""
    try:
        return [name for name, _ in build_light(module, scope=scope).named_parameters()]
    except Exception:  # other people's code, and registries of old such as mmpose's mmcls.VisionTransformer
        return []


def _require_running(cfg: Config, *, source: Source, proof: bool) -> str:
    """Build the swapped model and, with ``proof``, run it forward, to its loss and to a prediction.

    Returns:
        What was tried, for the user to know; some operators of mmcv have no CPU version.

    Raises:
        SwapRefused: it does not build or run; the message says so if the old model does not either.
    """
    attempt: Callable[[Config], object] = prove if proof else check_model
    try:
        attempt(cfg)
    except Exception as error:  # models are programs of many packages, which fail in any way
        if _NO_OPERATOR in str(error):
            return f'built, but not run: {error}'
        reason = f'with HRNet it does not run: {error}'
        try:
            attempt(source.cfg)
        except Exception as own:  # as above
            reason += f'; it does not run here even with its own backbone: {own}'
        raise SwapRefused('model', reason) from error
    return 'proven on random input: forward, loss, backward, prediction' if proof else 'built, not run'
