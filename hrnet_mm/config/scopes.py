"""The four codebases that a config can belong to, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import Any

from mmengine.config import Config

from .errors import ConfigError, one_line


@dataclass(frozen=True)
class Scope:
    """What we need to know about one codebase.

    Attributes:
        distribution: Its name in the package index.
        extra: The extra of ours that installs it.
        loader: Data loader settings that its own tools fill in where a config says nothing.
    """

    distribution: str
    extra: str
    loader: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


#: MMEngine scope (also the name of the Python package) -> codebase.
SCOPES: Mapping[str, Scope] = MappingProxyType(
    {
        'mmpose': Scope('mmpose', 'pose'),
        'mmseg': Scope('mmsegmentation', 'seg'),
        'mmdet': Scope('mmdet', 'det'),
        'mmpretrain': Scope(
            'mmpretrain', 'cls', MappingProxyType({'collate_fn': {'type': 'default_collate'}})
        ),
    }
)


def require_scope(cfg: Config) -> str:
    """The scope of a config, once it is known to be usable.

    Returns:
        One of the names in ``SCOPES``.

    Raises:
        ConfigError: if ``default_scope`` is missing or unknown, or its package does not import.
    """
    name = cfg.get('default_scope')
    if name not in SCOPES:
        raise ConfigError(
            key='default_scope',
            value=name,
            expected=f'one of {", ".join(SCOPES)}; write it in the config or add '
            '--cfg-options default_scope=NAME',
        )
    try:
        import_module(name)
    except (ImportError, AssertionError) as error:  # mm packages assert the versions they accept
        raise ConfigError(
            key='default_scope',
            value=name,
            expected=f'an installed {SCOPES[name].distribution} ({one_line(error)}); {install_hint(name)}',
        ) from error
    return str(name)


def install_hint(name: str) -> str:
    """The command that installs the codebase of a scope."""
    return f"pip install 'hrnet_mm[{SCOPES[name].extra}]'"
