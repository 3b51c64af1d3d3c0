"""``--cfg-options KEY=VALUE``: reading them, and merging them into a config."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.runner import Runner

from .errors import ConfigError, one_line
from .nearest import misspelt

_ARGUMENT = '--cfg-options'
#: Sections that a config may leave out.
_SECTIONS = frozenset(inspect.signature(Runner).parameters)


def parse_options(items: Iterable[str]) -> dict[str, Any]:
    """Read ``KEY=VALUE`` strings as MMEngine's own tools do.

    ``1``, ``0.5``, ``True`` and ``None`` become Python values, ``1,2`` and ``[1,2]`` lists,
    ``(1,2)`` tuples, the rest strings.

    Raises:
        ConfigError: for an item that is not of that form.
    """
    return dict(_parse_option(item) for item in items)


def merge_options(cfg: Config, options: Mapping[str, Any]) -> None:
    """Overwrite values of a config, in place.

    Args:
        cfg: A config.
        options: Dotted key -> value; numbers in a key count into lists.

    Raises:
        ConfigError: if a key leads nowhere, is new and a misspelling of one that the config has, or is
            the top-level ``data_root``, which would change nothing (see ``reroot``).
    """
    if 'data_root' in options:
        raise ConfigError(
            key=f'{_ARGUMENT} data_root',
            value=options['data_root'],
            expected='--data-root DIR: data sets hold copies of the old data_root, '
            'which this option would not reach',
        )
    for key, value in options.items():
        _refuse_misspelling(cfg, key, value)
        try:
            cfg.merge_from_dict({key: value})
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ConfigError(
                key=f'{_ARGUMENT} {key}',
                value=value,
                expected=f'a key that fits the config ({one_line(error)})',
            ) from error


def _refuse_misspelling(cfg: Config, key: str, value: Any) -> None:
    """MMEngine would take it for a new key, which nothing reads."""
    parts = key.split('.')
    section: Any = cfg
    for depth, part in enumerate(parts):
        if not isinstance(section, Mapping | Config):
            return  # a list, or the end of what the config has
        if part not in section:
            known = section.keys() if depth else {*section.keys(), *_SECTIONS}
            meant = misspelt(part, known) if part not in known else None
            if meant is not None:
                right = '.'.join([*parts[:depth], meant, *parts[depth + 1 :]])
                expected = f'{right} (the config has no {part!r})'
                raise ConfigError(key=f'{_ARGUMENT} {key}', value=value, expected=expected)
            return
        section = section[part]


def _parse_option(item: str) -> tuple[str, Any]:
    key, equals, text = item.partition('=')
    if not equals or not all(key.split('.')):
        raise ConfigError(key=_ARGUMENT, value=item, expected='KEY=VALUE, as in train_cfg.max_epochs=10')
    try:
        return key, DictAction._parse_iterable(text)
    except AssertionError as error:
        raise ConfigError(
            key=f'{_ARGUMENT} {key}', value=text, expected='a value with balanced brackets'
        ) from error
