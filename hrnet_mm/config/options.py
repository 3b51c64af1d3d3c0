"""What command lines share: ``--fast``; and ``--cfg-options``: reading, merging, refusing misspelt ones."""

from __future__ import annotations

import argparse
import difflib
import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.runner import Runner

from .errors import ConfigError, refused

_ARGUMENT = '--cfg-options'
#: Sections that a config may leave out.
_SECTIONS = frozenset(inspect.signature(Runner).parameters)
#: Of difflib: two of these share nearly all their letters, as ``batchsize`` and ``batch_size``.
_NEARLY_THE_SAME = 0.86


def parse_options(items: Iterable[str]) -> dict[str, Any]:
    """Read ``KEY=VALUE`` strings as MMEngine's own tools do.

    ``1``, ``0.5``, ``True`` and ``None`` become Python values, ``1,2`` and ``[1,2]`` lists,
    ``(1,2)`` tuples, the rest strings.

    Raises:
        ConfigError: for an item that is not of that form.
    """
    options: dict[str, Any] = {}
    for item in items:
        key, equals, text = item.partition('=')
        if not equals or not all(key.split('.')):
            raise ConfigError(_ARGUMENT, item, expected='KEY=VALUE, as in train_cfg.max_epochs=10')
        with refused(f'{_ARGUMENT} {key}', text, expected='a value with balanced brackets'):
            options[key] = DictAction._parse_iterable(text)
    return options


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
        right = _right_spelling(cfg, key.split('.'))
        if right is not None:
            raise ConfigError(f'{_ARGUMENT} {key}', value, expected=right)
        with refused(f'{_ARGUMENT} {key}', value, expected='a key that fits the config'):
            cfg.merge_from_dict({key: value})


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The known name that is most like this one, if one is like it at all (difflib's ``cutoff``)."""
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=cutoff)), None)


def _right_spelling(cfg: Config, parts: list[str]) -> str | None:
    """Which key of the config a new key misspells: MMEngine would add the new one, which nothing reads."""
    section: Any = cfg
    for depth, part in enumerate(parts):
        if not isinstance(section, Mapping | Config):
            return None  # a list, or the end of what the config has
        if part not in section:
            known = section.keys() if depth else {*section.keys(), *_SECTIONS}
            # stage2 and stage3 are no misspellings of each other
            others = [name for name in known if re.sub(r'\d+', '', name) != re.sub(r'\d+', '', part)]
            meant = None if part in known else nearest(part, others, cutoff=_NEARLY_THE_SAME)
            right = '.'.join([*parts[:depth], str(meant), *parts[depth + 1 :]])
            return f'{right} (the config has no {part!r})' if meant else None
        section = section[part]
    return None


def add_fast(parser: argparse.ArgumentParser) -> None:
    """Add ``--fast`` and ``--dtype``."""
    about = 'use the inference form: the same results, sooner, on a GPU from CUDA graphs'
    parser.add_argument('--fast', action='store_true', help=about)
    parser.add_argument(
        '--dtype',
        choices=('float32', 'bfloat16', 'float16'),
        default='float32',
        help='what backbone and neck compute in with --fast (default: float32)',
    )
