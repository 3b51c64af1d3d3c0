"""A run's last steps tried before its first: metrics on perfect predictions, a batch, a validation image.

What fails after an epoch fails here, within seconds. Nothing of the run is touched: metrics are built anew or
emptied, the model is a copy, random states are put back.
"""

from __future__ import annotations

import copy
import io
import itertools
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext, redirect_stdout
from typing import Any, Final

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dist import get_world_size, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel, is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.registry import METRICS, DefaultScope
from mmengine.runner import BaseLoop, Runner

from ..config.codebases import CODEBASES, Codebase
from ..config.errors import ConfigError, refused
from ..config.joint import of_task, task_configs
from ..config.paths import iter_datasets, iter_metrics, type_name
from ..data.evaluation import coco_metric
from ..multi_task.loops import TaskLoaders
from ..utils import quiet, random_states_kept

#: Images whose truth is evaluated, at most; of metrics that need them decoded, and of the others.
_DECODED, _LISTED = 4, 200
#: Images in the batch that is tried, at most.
_BATCH = 2
#: Of a perfect score.
_TOLERANCE = 1e-3
#: What a metric would write or leave out, were it the run's own.
_OUTPUTS: Final = ('outfile_prefix', 'output_dir', 'collect_dir')
_ONE_VALUE = 'Expected more than 1 value per channel'


def rehearse_metrics(runner: Runner, *, stage: str) -> list[str]:
    """Evaluate perfect predictions, made of the truth of a few images, by a stage's metrics.

    Metrics and data sets that are not the packages' own are left alone.

    Args:
        runner: Its loops have been built.
        stage: ``'val'`` or ``'test'``.

    Returns:
        One line for each score that should be perfect and is not.

    Raises:
        ConfigError: a metric fails, or no metric gives what ``save_best`` and its like wait for.
    """
    loop = getattr(runner, f'_{stage}_loop')
    if not isinstance(loop, BaseLoop) or not is_main_process():
        return []
    lines: list[str] = []
    names: list[str] = []
    for task, cfg in task_configs(runner.cfg).items():
        dataset = (loop.dataloader.loaders[task] if task else loop.dataloader).dataset
        with of_task(task):
            scores, imperfect, knows_all = _rehearse(cfg, dataset, stage=stage)
        names += [f'{task}/{name}' if task else name for name in scores]
        lines += [f'task {task}: {line}' if task else line for line in imperfect]
        if not scores or not knows_all:
            return lines
    if stage == 'val':
        _check_monitors(runner.cfg, [*names, *(['mean'] if getattr(loop, 'mean', None) else [])])
    return lines


def _rehearse(cfg: Config, dataset: Any, *, stage: str) -> tuple[list[str], list[str], bool]:
    """Names of the metrics' values, a line for each imperfect one, and whether all metrics are known."""
    scope = cfg.get('default_scope')
    if scope not in CODEBASES or getattr(dataset, 'data_mode', '') == 'bottomup':
        return [], [], False  # bottom-up: groups of people in an image, which no truth of one person makes
    codebase, metrics = CODEBASES[scope], list(iter_metrics(cfg, stages=[stage]))
    known = [
        (key, metric)
        for key, metric in metrics
        if type_name(metric.get('type')) in codebase.perfect_scores and not metric.get('format_only')
    ]
    names: list[str] = []
    lines: list[str] = []
    in_scope = DefaultScope.overwrite_default_scope(scope)
    with random_states_kept(), quiet(), redirect_stdout(io.StringIO()), in_scope:
        for key, metric in known:
            is_coco = coco_metric(cfg, stage) is not None
            scores, whole = _perfect_scores(key, metric, dataset, codebase, is_coco=is_coco)
            names += scores
            lines += _imperfect(key, metric, scores, codebase) if whole else []
    return names, lines, len(known) == len(metrics)


def _perfect_scores(
    key: str, metric: Mapping[str, Any], dataset: Any, codebase: Codebase, *, is_coco: bool
) -> tuple[dict[str, Any], bool]:
    """What a metric makes of perfect predictions, and whether they are perfect."""
    settings = {name: value for name, value in metric.items() if name not in _OUTPUTS}
    computed = refused(key, type_name(metric['type']), expected='a metric that can be computed')
    with computed, tempfile.TemporaryDirectory() as folder:
        samples = _truth(dataset, codebase)
        if not samples:
            return {}, False
        file = settings.get('ann_file')
        if file and is_coco:
            settings['ann_file'] = _cut(file, {sample['img_id'] for sample in samples}, folder)
        built: BaseMetric = METRICS.build(settings)
        built.dataset_meta = copy.deepcopy(getattr(dataset, 'metainfo', None))
        built.process({}, samples)
        scores = built.compute_metrics(built.results)
    whole = bool(file) or not is_coco or len(samples) == len(dataset)
    given = not getattr(dataset, 'bbox_file', None)  # of a detector's boxes no truth is known
    prefix = f'{built.prefix}/' if built.prefix else ''
    return {f'{prefix}{name}': value for name, value in scores.items()}, whole and given


def _truth(dataset: Any, codebase: Codebase) -> list[dict[str, Any]]:
    """Perfect predictions of the first images."""
    truth = codebase.function('truth')
    if codebase.task == 'segmentation':
        if len(dataset) and isinstance(dataset[0]['data_samples'], list):
            return []  # test-time augmentation: several of each, flipped and resized
        return [truth(dataset, index) for index in range(min(len(dataset), _DECODED))]
    samples: list[dict[str, Any]] = []
    images: set[Any] = set()
    for index in range(len(dataset)):
        sample = truth(dataset, index)
        images.add(sample.get('img_id', index))
        if len(images) > _LISTED:
            break
        samples.append(sample)
    return samples


def _cut(file: str, images: set[Any], folder: str) -> str:
    """A COCO file of some images alone; the file itself where it has no others."""
    with open(file, encoding='utf-8-sig') as opened:
        content = json.load(opened)
    kept = [image for image in content['images'] if image['id'] in images]
    if len(kept) == len(content['images']) or len(images) < _LISTED:
        return file
    annotations = [entry for entry in content['annotations'] if entry['image_id'] in images]
    path = os.path.join(folder, 'cut.json')
    with open(path, 'w', encoding='utf-8') as opened:
        json.dump({**content, 'images': kept, 'annotations': annotations}, opened)
    return path


def _imperfect(
    key: str, metric: Mapping[str, Any], scores: Mapping[str, Any], codebase: Codebase
) -> Iterator[str]:
    pattern, perfect = codebase.perfect_scores[type_name(metric['type'])]
    for name, value in scores.items():
        if perfect is None or not re.fullmatch(pattern, name) or not np.isfinite(value):
            continue
        if abs(float(value) - perfect) > _TOLERANCE * max(perfect, 1):
            file = f' of {metric["ann_file"]}' if metric.get('ann_file') else ''
            yield (
                f'{key}: predictions equal to the truth{file} score {name} {float(value):.3f}, not '
                f'{perfect:.3f}: the metric misjudges some annotations; tools/check_data.py CONFIG says which'
            )


def _check_monitors(cfg: Any, names: Sequence[str]) -> None:
    """Whether what waits for a metric by its name will get it."""
    schedulers = cfg.get('param_scheduler') or ()
    sections = {
        **{f'default_hooks.{name}': hook for name, hook in (cfg.get('default_hooks') or {}).items()},
        **{f'custom_hooks.{number}': hook for number, hook in enumerate(cfg.get('custom_hooks') or ())},
        **{f'param_scheduler.{i}': one for i, one in enumerate(schedulers) if isinstance(one, Mapping)},
    }
    for (key, section), name in itertools.product(sections.items(), ('save_best', 'monitor')):
        value = section.get(name) if isinstance(section, Mapping) else None
        wanted = [value] if isinstance(value, str) else value or ()
        if any(name not in (*names, 'auto', 'loss') for name in wanted):
            expected = f'a value of the evaluator: {", ".join(names)}'
            raise ConfigError(f'{key}.{name}', value, expected=expected)


def rehearse_prediction(runner: Runner) -> None:
    """Predict the first image of the validation by a copy of the model, and hand that to the metrics.

    Both read what the pipeline's last step packs by its ``meta_keys``, as ``scale_factor`` or ``img_id``.

    Args:
        runner: Its model and loops have been built.

    Raises:
        ConfigError: the model or a metric cannot use what the pipeline packs.
    """
    model: Any = runner.model.module if is_model_wrapper(runner.model) else runner.model
    loop = runner._val_loop
    predicts_plainly = isinstance(model, BaseModel) and type(model).val_step is BaseModel.val_step
    if not isinstance(loop, BaseLoop) or not predicts_plainly:
        return
    with random_states_kept(), quiet(), torch.no_grad():
        trial = copy.deepcopy(model)
        trial.eval()  # not chained: mmpose's models return nothing
        for task, cfg in task_configs(runner.cfg).items():
            loader = loop.dataloader.loaders[task] if task else loop.dataloader
            evaluator = loop.evaluators[task] if task else loop.evaluator
            with of_task(task):
                _try_prediction(cfg, trial, loader, evaluator.metrics, task)


def _try_prediction(cfg: Config, trial: Any, loader: Any, metrics: Sequence[BaseMetric], task: str) -> None:
    scope = cfg.get('default_scope')
    if scope not in CODEBASES:
        return
    key, section = next(iter_datasets(cfg, stages=['val']))
    steps = [type_name(step['type']) for step in section.get('pipeline') or ()]
    expected = 'samples that model and metrics can use; does meta_keys of its last step name all they read?'
    with DefaultScope.overwrite_default_scope(scope):
        batch = loader.collate_fn([loader.dataset[0]])
        with refused(f'{key}.pipeline', steps, expected=expected):
            outputs = trial.val_step({task: batch})[task] if task else trial.val_step(batch)
            found = [sample.to_dict() for sample in outputs]
            for metric in metrics:
                is_known = type(metric).__name__ in CODEBASES[scope].perfect_scores
                if 'segm' in getattr(metric, 'metrics', ()) and 'masks' not in found[0]['pred_instances']:
                    raise ConfigError('val_evaluator.metric', metric.metrics, expected='a model with masks')
                if is_known and not getattr(metric, 'output_dir', None):
                    metric.process(batch, copy.deepcopy(found))
                    metric.results.clear()


def rehearse_batch(runner: Runner) -> None:
    """Send a batch like the last of an epoch, two images at most, through a copy of model and loss.

    Args:
        runner: Its loops, model and optimiser have been built; shapes do not wait for weights.

    Raises:
        ConfigError: the model or its loss fails at a batch of the run's own data.
    """
    model: Any = runner.model.module if is_model_wrapper(runner.model) else runner.model
    loaders = {'': runner.train_dataloader}
    if isinstance(runner.train_dataloader, TaskLoaders):
        loaders = runner.train_dataloader.loaders
    for task, loader in loaders.items():
        with of_task(task):
            _require_a_batch(loader)
    trains_plainly = isinstance(model, BaseModel) and type(model).train_step is BaseModel.train_step
    if not trains_plainly or type(runner.optim_wrapper).__name__ == 'OptimWrapperDict':
        return
    with random_states_kept(), quiet():
        trained = copy.deepcopy(model).train()
        for task, loader in loaders.items():
            with of_task(task):
                _try_batch(runner, trained, loader, task)


def _require_a_batch(loader: Any) -> None:
    if loader.drop_last and hasattr(loader.sampler, 'num_samples') and len(loader) == 0:
        count, size = loader.sampler.num_samples, loader.batch_size
        expected = f'False: {count} images make no batch of {size}, and no step would be made'
        raise ConfigError('train_dataloader.drop_last', True, expected=expected)


def _try_batch(runner: Runner, trained: Any, loader: Any, task: str) -> None:
    """A batch like the last one of a loader through the model; of several tasks, of one."""
    last = _last_batch(loader)
    count, size = len(loader.dataset), loader.batch_size
    # maybe fewer images than a batch has, where they are drawn again and again
    with refused('train_dataloader.dataset', type(loader.dataset).__name__, expected='samples to learn'):
        batch = loader.collate_fn([loader.dataset[index % count] for index in range(min(last, _BATCH))])
    if task:
        batch = {task: batch}
    wrapper = runner.optim_wrapper
    has_precision = isinstance(wrapper, OptimWrapper) and get_world_size() == 1  # mixed, where the run has it
    precision = wrapper.optim_context(trained) if has_precision else nullcontext()
    learns = refused('model', type_name(runner.cfg.model.type), expected='a model that learns its data')
    try:
        with learns, torch.no_grad(), precision:
            trained.parse_losses(trained._run_forward(trained.data_preprocessor(batch, True), mode='loss'))
    except ValueError as error:
        if _ONE_VALUE not in str(error) or last != 1:
            raise
        expected = (
            f'a size that leaves no single image: {count} images make batches of {size} and one of 1, '
            'which batch norm cannot learn from; or train_dataloader.drop_last=True'
        )
        raise ConfigError('train_dataloader.batch_size', size, expected=expected) from error


def _last_batch(loader: Any) -> int:
    """Images in the last batch of an epoch on one process, or in any where the sampler never ends."""
    size, sampler = loader.batch_size or 1, loader.sampler
    if loader.drop_last or not hasattr(sampler, '__len__') or not hasattr(sampler, 'num_samples'):
        return int(size)
    return int(sampler.num_samples % size or size)
