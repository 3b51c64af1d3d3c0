"""Networks by one word: a checkpoint that carries its config, or the name of a published model."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlparse

import torch
import yaml
from mmengine.config import Config

from ..checkpoints import Checkpoint
from ..config.build import read_weights
from ..config.errors import ConfigError, refused
from ..config.files import shipped_configs_folder
from ..config.load import load_config
from ..config.options import nearest
from ..utils import iter_dicts

_NAME: Final = re.compile(r'^\s*(?:- )?Name:\s*[\'"]?([^\'"#\n]+?)[\'"]?\s*$', re.MULTILINE)
#: How MMEngine writes numbers that Python has no literals for.
_NUMBERS: Final = {'inf': float('inf'), 'nan': float('nan')}


def carried_config(checkpoint: str | Path, *, key: str) -> tuple[Config, Checkpoint]:
    """The config that MMEngine, and so our training, wrote into a checkpoint, and the checkpoint.

    The text is not executed: assignments of plain values and ``dict(...)`` are read, which is all that
    MMEngine writes. Modules that it would import are not imported; ours are known.

    Raises:
        ConfigError: if there is none, or not one that is plain.
        CheckpointError: if the file is unreadable.
    """
    weights = read_weights(checkpoint, key=key)
    text = weights.meta.get('cfg')
    if not isinstance(text, str) or 'default_scope' not in text:
        raise ConfigError(
            key=key,
            value=str(checkpoint),
            expected='a checkpoint that carries its config, as MMEngine writes them, or CONFIG before it',
        )
    with refused(key, str(checkpoint), expected='a plain config inside, or CONFIG before it'):
        lines = ast.parse(text).body
        values = {line.targets[0].id: _value(line.value) for line in lines}  # type: ignore[attr-defined]
    return Config(values), weights


def _value(node: ast.expr) -> Any:
    """A literal, or ``dict`` called with such; nothing else is evaluated."""
    match node:
        case ast.Call(func=ast.Name(id='dict'), args=[], keywords=keywords) if all(k.arg for k in keywords):
            return {keyword.arg: _value(keyword.value) for keyword in keywords}
        case ast.Dict(keys=keys, values=values):
            return {
                ast.literal_eval(key or ''): _value(value) for key, value in zip(keys, values, strict=True)
            }
        case ast.List(elts=items):
            return [_value(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_value(item) for item in items)
        case ast.Name(id=name) if name in _NUMBERS:
            return _NUMBERS[name]
    return ast.literal_eval(node)


def published_network(name: str, *, key: str) -> tuple[Config, str]:
    """Config and weights of a model that a package publishes, from its metafiles, with our backbone in it.

    Args:
        name: ``'mmpose::td-hm_hrnet-w32_8xb64-210e_coco-256x192'``: a codebase and the name, or an alias or
            the config's name, of one of its models.
        key: The argument that named it, for messages.

    Returns:
        The config, and the weights on this disk. They are downloaded to where MMEngine downloads to, unless
        they lie there.

    Raises:
        ConfigError: if the package has no such model, or its weights cannot be downloaded.
    """
    package, _, inside = name.partition('::')
    wanted = Path(inside).name.removesuffix('.py')
    folder = shipped_configs_folder(package).parent
    models = list(published_models(folder, naming=wanted))
    if not models:
        names = (each for file in _metafiles(folder) for each in _NAME.findall(file.read_text('utf-8')))
        near = nearest(wanted, names)
        hint = f', such as {package}::{near}' if near else ''
        raise ConfigError(key=key, value=name, expected=f'a model that {package} publishes weights of{hint}')
    model = next((each for each in models if each['Name'] == wanted), models[0])
    cfg = load_config(folder / model['Config'])
    for _, settings in iter_dicts(cfg.model):
        if settings.get('type') == 'HRNet':
            settings['type'] = 'HRNetBackbone'
    weights = model['Weights']
    return cfg, downloaded(weights[0] if isinstance(weights, list) else weights, name=name, key=key)


def published_models(folder: Path, *, naming: str = '') -> Iterator[dict[str, Any]]:
    """Entries of a package's metafiles that have weights.

    Args:
        folder: With ``model-index.yml``, as packages are installed with.
        naming: What must be the entry's name, alias or config; all entries if it is empty.
    """
    for file in _metafiles(folder):
        text = file.read_text('utf-8')
        if naming not in text:
            continue
        content = yaml.load(text, yaml.CSafeLoader)
        for model in (content.get('Models') or []) if isinstance(content, Mapping) else content or []:
            aliases = model.get('Alias') or []
            known = [*([aliases] if isinstance(aliases, str) else aliases), model['Name']]
            known.append(Path(model.get('Config', '')).stem)
            if model.get('Weights') and (not naming or naming in known):
                yield model


def _metafiles(folder: Path) -> Iterator[Path]:
    index = yaml.load((folder / 'model-index.yml').read_text('utf-8'), yaml.CSafeLoader)
    yield from (folder / name for name in index['Import'] if (folder / name).is_file())


def downloaded(address: str, *, name: str, key: str) -> str:
    """The file of an address, from torch's folder of downloads, which is MMEngine's too.

    Raises:
        ConfigError: if it is neither there nor can be downloaded.
    """
    place = Path(torch.hub.get_dir()) / 'checkpoints' / Path(urlparse(address).path).name
    if not place.is_file():
        expected = f'a network to download {address}; fetched by hand it belongs at {place}'
        with refused(key, name, expected=expected):
            place.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(address, str(place))
    return str(place)
