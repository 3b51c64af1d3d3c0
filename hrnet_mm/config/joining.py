"""Configs of single models, of any of the packages, to the sections of one config of several tasks."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config, ConfigDict

from ..checkpoints.reading import upsample_cfg
from ..models import HRNetBackbone
from ..models.arch import NAMED_ARCHS, resolve_arch
from .build import build_light
from .codebases import CODEBASES
from .errors import ConfigError, refused
from .files import shipped_configs_folder
from .joint import TASK_SECTIONS, require_one_task
from .load import load_config
from .paths import type_name


class _Part(NamedTuple):
    """One config, and its backbone on the meta device."""

    cfg: Config
    scope: str
    settings: dict[str, Any]  # of the backbone
    backbone: HRNetBackbone


#: How settings that configs often differ in are chosen.
_CHOICES = {'arch': 'arch=w32', 'upsample_cfg': 'upsample_cfg.mode=nearest'}


def join_configs(tasks: Mapping[str, str | Path], *, backbone: Mapping[str, Any] | None = None) -> ConfigDict:
    """What several single-task configs are together.

    In a config file, behind ``_base_``, for MMEngine to read it as text::

        _base_ = '_base_/multi_task.py'  # of our configs
        from hrnet_mm.config.joining import join_configs

        joint = join_configs(dict(pose='pose.py', segmentation='mmseg::hrnet/....py'))
        model, train_dataloader = joint.model, joint.train_dataloader

    Args:
        tasks: Name -> config file, or a package's own by name (see ``find_config``), with an
            ``HRNetBackbone`` or an ``HRNet``.
        backbone: Settings of the joint backbone, which the configs need not agree in. Where they are left
            out: ``norm_eval`` if all say so, ``SyncBN`` if one does, the pretrained weights of the first
            that has some.

    Returns:
        ``model``, ``optim_wrapper`` (the first config's), ``train_dataloader``, ``val_dataloader``,
        ``test_dataloader`` and ``val_evaluator``, ``test_evaluator``, each task -> that config's.

    Raises:
        ConfigError: a file is none, has another backbone, or the backbones differ; the message says in what.
    """
    parts = {name: _read(name, file) for name, file in tasks.items()}
    if not parts:
        raise ConfigError(key='tasks', value=None, expected='a config for each task')
    chosen = dict(backbone or {})
    _require_agreement(parts, chosen)
    indices = sorted({index for part in parts.values() for index in part.backbone.out_indices})
    shared = _joint_backbone(list(parts.values()), indices, chosen=chosen)
    with refused('backbone', dict(chosen), expected='arguments of HRNetBackbone'):
        build_light(shared, scope='mmengine')
    joint: dict[str, Any] = {}
    joint['model'] = {
        'type': 'hrnet_mm.MultiTaskModel',
        'backbone': shared,
        'tasks': {name: _task_model(part, indices) for name, part in parts.items()},
    }
    joint['optim_wrapper'] = next(iter(parts.values())).cfg.get('optim_wrapper')
    for section in TASK_SECTIONS:
        found = {name: part.cfg.get(section) for name, part in parts.items()}
        joint[section] = {name: value for name, value in found.items() if value is not None} or None
    return ConfigDict({key: value for key, value in joint.items() if value is not None})


def joint_config_text(
    files: Sequence[str], *, iterations: int | None = None, backbone: Mapping[str, Any] | None = None
) -> str:
    """The text of a config file that joins others, by reference to them.

    Args:
        files: Configs as for ``join_configs``, each with ``NAME=`` before it or named after its task.
        iterations: Steps of the run; default those of the longest config that counts iterations.
        backbone: Dotted key -> value, as for ``join_configs``.

    Raises:
        ConfigError: as ``join_configs``; two tasks have one name, or no config counts iterations.
    """
    chosen = ConfigDict()
    for key, value in (backbone or {}).items():
        chosen = Config._merge_a_into_b(_nested(key.split('.'), value), chosen)
    tasks: dict[str, str] = {}
    lengths = []
    for each in files:
        name, _, file = each.rpartition('=')
        cfg = load_config(file)
        require_one_task(cfg, key='configs')
        name = name or CODEBASES[str(cfg.default_scope)].task
        if name in tasks:
            expected = f'another name than that of {tasks[name]}: NAME={file}'
            raise ConfigError(key='configs', value=each, expected=expected)
        tasks[name] = file if '::' in file else str(Path(file).resolve())
        lengths.append((cfg.get('train_cfg') or {}).get('max_iters') or 0)
    join_configs(tasks, backbone=chosen)
    if not (iterations or max(lengths)):
        raise ConfigError(key='--iters', value=iterations, expected='a number; the configs count epochs')
    steps = iterations or max(lengths)
    entries = ''.join(f"    {name}='{file}',\n" for name, file in tasks.items())
    base = (shipped_configs_folder('hrnet_mm') / '_base_' / 'multi_task.py').resolve()
    return _TEXT.format(base=base, tasks=entries, backbone=dict(chosen), steps=steps, first=next(iter(tasks)))


_TEXT = """\
# One network for several tasks: their own configs, joined. Overwrite below what should differ from them.
_base_ = '{base}'

from hrnet_mm.config.joining import join_configs

tasks = dict(
{tasks})
joint = join_configs(tasks, backbone={backbone})
model = joint.model
# model['loss_weights'] = dict(task=1.0), or 'uncertainty'
train_dataloader = joint.train_dataloader
val_dataloader, val_evaluator = joint.get('val_dataloader'), joint.get('val_evaluator')
test_dataloader, test_evaluator = joint.get('test_dataloader'), joint.get('test_evaluator')
optim_wrapper = joint.optim_wrapper  # of {first}
del joint, tasks

iterations = {steps}
train_cfg = dict(max_iters=iterations, val_interval=max(1, iterations // 10))
param_scheduler = [
    dict(type='LinearLR', begin=0, end=min(500, iterations // 10 + 1), start_factor=0.001, by_epoch=False),
    dict(type='CosineAnnealingLR', T_max=iterations, by_epoch=False),
]
default_hooks = dict(checkpoint=dict(interval=max(1, iterations // 10), max_keep_ckpts=3))
"""


def _nested(keys: Sequence[str], value: Any) -> dict[str, Any]:
    return {keys[0]: _nested(keys[1:], value) if keys[1:] else value}


def _read(name: str, file: str | Path) -> _Part:
    cfg = load_config(file)
    scope = str(cfg.default_scope)
    settings = dict((cfg.get('model') or {}).get('backbone') or {})
    kind = type_name(settings.get('type'))
    if kind not in ('HRNet', 'HRNetBackbone'):
        expected = 'HRNetBackbone, which tools/swap_backbone.py puts in its place'
        raise ConfigError(key=f'task {name}: model.backbone.type', value=kind, expected=expected)
    settings['type'] = 'HRNetBackbone'
    with refused(f'task {name}: model.backbone', str(file), expected='arguments of HRNetBackbone'):
        built: Any = build_light(settings, scope=scope)
    return _Part(cfg, scope, settings, built)


def _facts(part: _Part) -> Iterator[tuple[str, Any]]:
    """What the backbones of all tasks must have in common."""
    spelled = part.settings.get('extra') or part.settings.get('arch') or 'w32'
    yield 'arch', resolve_arch(spelled)
    yield 'in_channels', part.backbone.in_channels
    yield 'upsample_cfg', upsample_cfg(part.backbone.upsampling)
    yield 'conv_cfg', part.settings.get('conv_cfg')
    norm = type_name((part.settings.get('norm_cfg') or {}).get('type', 'BN'))
    yield 'norm_cfg', norm.removeprefix('Sync').removesuffix('2d')
    yield 'frozen_stages', part.backbone.frozen_stages


def _require_agreement(parts: Mapping[str, _Part], chosen: Mapping[str, Any]) -> None:
    facts = {name: dict(_facts(part)) for name, part in parts.items()}
    first = next(iter(facts.values()))
    for key in (key for key in first if key not in chosen):
        values = {name: each[key] for name, each in facts.items()}
        if any(value != first[key] for value in values.values()):
            raise ConfigError(
                key=f'backbone.{key}',
                value=', '.join(f'{name}: {_shown(value)}' for name, value in values.items()),
                expected='the same in all configs, or the one to take: '
                f'tools/join_configs.py --backbone {_CHOICES.get(key, f"{key}=VALUE")}, '
                f'in a config join_configs(..., backbone=dict({key}=...))',
            )


def _shown(value: Any) -> str:
    """A setting in few words; of an architecture, its name or its widths."""
    if not isinstance(value, tuple):
        return str(value)
    names = (name for name, arch in NAMED_ARCHS.items() if arch == value)
    return next(names, f'stage4 of {value[-1].channels} channels')


def _joint_backbone(parts: list[_Part], indices: list[int], *, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The first config's backbone with every scope's defaults spelled out, and what was chosen."""
    first = parts[0]
    settings = copy.deepcopy(first.settings)
    # extra goes before arch
    for key in ('pretrained', 'multiscale_output', *(['extra'] if 'arch' in chosen else [])):
        settings.pop(key, None)
    for spelled in (settings.get('extra'), settings.get('arch')):
        if isinstance(spelled, dict):  # mmpose's places for what stands beside it here
            spelled.pop('upsample', None)
            spelled['stage4'].pop('multiscale_output', None)
    settings |= {
        'out_indices': tuple(indices),
        'upsample_cfg': upsample_cfg(first.backbone.upsampling),
        'norm_eval': all(part.backbone.norm_eval for part in parts),
        'norm_cfg': next(
            (norm for part in parts if (norm := part.settings.get('norm_cfg') or {}).get('type') == 'SyncBN'),
            first.settings.get('norm_cfg'),
        ),
        'init_cfg': next(
            (part.backbone.init_cfg for part in parts if part.backbone._is_pretrained),
            first.backbone.init_cfg,
        ),
    }
    return {key: value for key, value in settings.items() if value is not None} | dict(chosen)


def _task_model(part: _Part, indices: list[int]) -> dict[str, Any]:
    model = {key: value for key, value in part.cfg.model.items() if key not in ('backbone', 'pretrained')}
    if part.cfg.get('data_preprocessor') is not None:
        model.setdefault('data_preprocessor', part.cfg.data_preprocessor)
    own = [indices.index(index) for index in part.backbone.out_indices]
    taken = {} if own == list(range(len(indices))) else {'out_indices': tuple(own)}
    return {'_scope_': part.scope, **taken, **model}
