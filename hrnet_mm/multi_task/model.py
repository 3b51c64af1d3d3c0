"""Models of several packages on one ``HRNetBackbone``: one state dict, one optimizer step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor, BaseModel, BaseModule, ModuleDict
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from ..config.codebases import CODEBASES, import_models
from ..config.errors import ConfigError
from ..models import HRNetBackbone
from ..registry import MODELS

_UNCERTAINTY = 'uncertainty'
_Losses = dict[str, Any]


@MODELS.register_module()
class SharedBackbone(BaseModule):
    """Stands where a task's model has its backbone, and hands it maps of the one that all tasks share.

    Args:
        out_indices: which of the shared backbone's maps the task takes, counted from the finest; all of them
            if None.
    """

    def __init__(self, out_indices: Sequence[int] | None = None) -> None:
        super().__init__()
        self.out_indices = out_indices
        #: in a tuple, for the model must not become a part of its own part; set by the model
        self.owner: tuple[MultiTaskModel, ...] = ()

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """The task's maps of an image, as :meth:`HRNetBackbone.forward` gives them."""
        (owner,) = self.owner
        maps = owner.feature_maps(image)
        return maps if self.out_indices is None else tuple(maps[index] for index in self.out_indices)


class TaskPreprocessors(BaseDataPreprocessor):
    """Each task's batch through the data preprocessor of that task's model."""

    def __init__(self, preprocessors: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.tasks = nn.ModuleDict(preprocessors)

    def forward(self, data: Mapping[str, Any], training: bool = False) -> dict[str, Any]:
        """Task -> batch, to task -> what its model takes."""
        return {task: self.tasks[task](batch, training) for task, batch in data.items()}


@MODELS.register_module()
class MultiTaskModel(BaseModel):
    """Models of several tasks, of the packages' own classes, on one backbone.

    The state dict holds the backbone once, as ``backbone.*``, and everything else of a task's model as
    ``tasks.<name>.*``. Batches are dictionaries, task -> batch of that task; one with some of the tasks
    alone trains those alone.

    Batch norms of the backbone see the tasks' batches one after another, in their order. A training step
    normalises each by its own statistics; the running ones, which evaluation uses, average over all tasks.

    Args:
        backbone: config of an ``HRNetBackbone``. Arguments left out do not follow a package's scope: fusions
            upsample by ``nearest``, all streams are produced, norms are trained.
        tasks: name -> the config of a model as its package has it, without ``backbone``, and in it
            ``_scope_``, the package (``'mmpose'``). ``out_indices`` says which of the backbone's maps it
            takes, counted from the finest: ``(0,)`` for a head made for HRNetV1; left out, all.
        loss_weights: task -> what the sum of its losses is multiplied by, 1 where left out; or
            ``'uncertainty'``: weights are learned, ``exp(-s) * loss + s / 2`` with one ``s`` a task (Kendall
            et al., CVPR 2018, arXiv 1705.07115, equation 10 with ``s = log(sigma ** 2)`` in the form for
            classification).
        shared_input: in training too, run the backbone once for all tasks of a batch, whose images have to be
            the same (see :class:`SharedImages`). Losses and gradients are those of separate passes; running
            statistics of norms are updated once instead of once a task.
        init_cfg: as for every model of MMEngine.

    Raises:
        ConfigError: a task's name or scope, or a loss weight, is none.
    """

    def __init__(
        self,
        backbone: Mapping[str, Any],
        tasks: Mapping[str, Mapping[str, Any]],
        *,
        loss_weights: Mapping[str, float] | str | None = None,
        shared_input: bool = False,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        with DefaultScope.overwrite_default_scope('mmengine'):
            self.backbone = ROOT_MODELS.build(dict(backbone))
        if not isinstance(self.backbone, HRNetBackbone):
            kind = type(self.backbone).__name__
            raise ConfigError(key='model.backbone.type', value=kind, expected='HRNetBackbone')
        self.tasks = ModuleDict()
        for name, settings in tasks.items():
            self.tasks[name] = _build_task(name, settings, streams=len(self.backbone.out_channels))
        for task in self.tasks.values():
            task.backbone.owner = (self,)
        self.data_preprocessor = TaskPreprocessors(
            {name: task.data_preprocessor for name, task in self.tasks.items()}
        )
        self.loss_weights = dict.fromkeys(self.tasks, 1.0)
        self.log_variances = nn.ParameterDict()
        if loss_weights == _UNCERTAINTY:
            self.log_variances.update({name: nn.Parameter(torch.zeros(())) for name in self.tasks})
        else:
            self.loss_weights |= _checked_weights(loss_weights or {}, tasks=list(self.tasks))
        self.shared_input = shared_input
        #: images and their maps of this batch, where they are kept
        self._maps: list[tuple[Tensor, tuple[Tensor, ...]]] | None = None

    def forward(self, *, mode: str = 'tensor', **batches: Mapping[str, Any]) -> dict[str, Any]:
        """Run the tasks of a batch.

        Args:
            mode: ``'loss'``, ``'predict'`` or ``'tensor'``, as for the tasks' models.
            **batches: task -> what its data preprocessor gave: ``inputs`` and ``data_samples``.

        Returns:
            Of ``'loss'``, the sum to learn from as ``loss``, and all tasks' losses for the log, as
            ``<task>/<name>``. Of others, task -> what its model gives. One pass of the backbone serves all
            tasks whose images are equal.

        Raises:
            ConfigError: there is no such task; with ``shared_input``, images of two tasks differ.
        """
        unknown = next((name for name in batches if name not in self.tasks), None)
        if unknown is not None:
            expected = f'a batch of {" or ".join(self.tasks)}'
            raise ConfigError(key='data', value=unknown, expected=expected)
        with self.shared_maps(mode != 'loss' or self.shared_input) as maps:
            results = {
                name: self.tasks[name]._run_forward(batch, mode=mode) for name, batch in batches.items()
            }
        if mode == 'loss':
            if self.shared_input and len(maps) != 1:
                expected = f'one image for {" and ".join(batches)}; they differ, or several are made of it'
                raise ConfigError(key='model.shared_input', value=True, expected=expected)
            return self._weighted(results)
        return results

    def parse_losses(self, losses: Mapping[str, Any]) -> tuple[Tensor, dict[str, Any]]:
        """The sum to learn from, and what is logged; of what ``forward(mode='loss')`` gave."""
        return losses['loss'], dict(losses)

    def feature_maps(self, image: Tensor) -> tuple[Tensor, ...]:
        """The backbone's maps of a batch of images; where they are kept, those of an equal one before."""
        for known, maps in self._maps or ():
            if known is image or (known.shape == image.shape and torch.equal(known, image)):
                return maps
        maps = self.backbone(image)
        if self._maps is not None:
            self._maps.append((image, maps))
        return maps

    @contextmanager
    def shared_maps(self, keeps: bool = True) -> Iterator[list[Any]]:
        """While it is entered, one pass of the backbone serves all tasks that ask for maps of an equal image.

        Yields:
            Images and their maps, one entry a pass; empty where none are kept.
        """
        before = self._maps
        maps: list[tuple[Tensor, tuple[Tensor, ...]]] = []
        self._maps = maps if keeps else None
        try:
            yield maps
        finally:
            self._maps = before

    def _weighted(self, results: Mapping[str, _Losses]) -> _Losses:
        total: Any = 0.0
        log: _Losses = {}
        for name, losses in results.items():
            loss, values = self.tasks[name].parse_losses(losses)
            if name in self.log_variances:
                variance = self.log_variances[name]
                total = total + torch.exp(-variance) * loss + variance / 2
                log[f'{name}/weight'] = torch.exp(-variance).detach()
            else:
                total = total + self.loss_weights[name] * loss
            log |= {f'{name}/{key}': value.detach() for key, value in values.items()}
        return {'loss': total, **log}


def _build_task(name: str, settings: Mapping[str, Any], *, streams: int) -> Any:
    key = f'model.tasks.{name}'
    if not name.isidentifier() or name == 'mode':
        raise ConfigError(key=key, value=name, expected='a name of letters, digits and _, other than mode')
    settings = dict(settings)
    scope, out_indices = settings.pop('_scope_', None), settings.pop('out_indices', None)
    if scope not in CODEBASES:
        raise ConfigError(key=f'{key}._scope_', value=scope, expected=f'one of {", ".join(CODEBASES)}')
    if 'backbone' in settings:
        expected = "no backbone of its own; model.backbone is every task's"
        raise ConfigError(key=f'{key}.backbone', value=settings['backbone'], expected=expected)
    if any(index not in range(streams) for index in out_indices or ()):
        expected = f'indices below {streams}, the number of maps of model.backbone'
        raise ConfigError(key=f'{key}.out_indices', value=out_indices, expected=expected)
    import_models(scope)
    settings['backbone'] = {'type': 'hrnet_mm.SharedBackbone', 'out_indices': out_indices}
    with DefaultScope.overwrite_default_scope(scope):
        return ROOT_MODELS.build(settings)


def _checked_weights(weights: Any, *, tasks: Sequence[str]) -> dict[str, float]:
    key, expected = 'model.loss_weights', f'{_UNCERTAINTY!r}, or numbers of 0 and more for {", ".join(tasks)}'
    if not isinstance(weights, Mapping):
        raise ConfigError(key=key, value=weights, expected=expected)
    for name, weight in weights.items():
        if name not in tasks or not isinstance(weight, (int, float)) or not weight >= 0:
            raise ConfigError(key=f'{key}.{name}', value=weight, expected=expected)
    return dict(weights)
