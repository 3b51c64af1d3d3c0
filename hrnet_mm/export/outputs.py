"""A model as images in and named tensors out: what its head says, before any result is made of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from torch import Tensor, nn

#: Class of a head, or one that it inherits from -> its outputs' names. Others are called ``output_0``, ...
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    # mmpose
    'AssociativeEmbeddingHead': ('heatmaps', 'tags'),
    'HeatmapHead': ('heatmaps',),
    'SimCCHead': ('simcc_x', 'simcc_y'),
    'RegressionHead': ('coordinates',),
    # mmseg
    'BaseDecodeHead': ('logits',),
    # mmpretrain
    'ClsHead': ('scores',),
    # mmdet
    'CenterNetHead': ('heatmaps', 'sizes', 'offsets'),
    'CenterNetUpdateHead': ('scores', 'distances'),
    'FCOSHead': ('scores', 'distances', 'centerness'),
    'ATSSHead': ('scores', 'deltas', 'centerness'),
    'AnchorHead': ('scores', 'deltas'),
}
#: Where the packages keep the head that speaks last; of several, the last one does.
_HEADS = ('head', 'decode_head', 'bbox_head')
#: Parts that the outputs do not depend on.
_UNUSED = ('data_preprocessor', 'auxiliary_head')


class NamedOutputs(nn.Module):
    """``(N, C, H, W)`` images, normalised already, to tensors by name.

    The outputs are those of the packages' ``mode='tensor'``: nothing is decoded, resized or chosen. Where a
    head has one output per level, finest first, its name ends in the level: ``scores_0``. A two-stage
    detector gives its RPN's outputs (``rpn_scores_0``, ``rpn_deltas_0``, ...) and the pyramid that RoI heads
    look at (``features_0``, ...); its second stage is left out, unless it is a :class:`WholeDetector`.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Run the model."""
        return dict(_flat(_outputs(self.model, images)))


class JointOutputs(nn.Module):
    """Images of each input to the outputs of all its tasks, ``<task>/<name>``: one backbone pass an input.

    Args:
        model: A ``MultiTaskModel``.
        named: Task -> its model as :class:`NamedOutputs` or another module of that kind.
        inputs: The tasks of each input.
    """

    def __init__(self, model: Any, named: Mapping[str, nn.Module], inputs: Sequence[Sequence[str]]) -> None:
        super().__init__()
        self.model = model
        self.named = nn.ModuleDict(named)
        self.inputs = inputs

    def forward(self, *images: Tensor) -> dict[str, Tensor]:
        """Run the tasks."""
        outputs: dict[str, Tensor] = {}
        for image, tasks in zip(images, self.inputs, strict=True):
            with self.model.shared_maps():
                for task in tasks:
                    own = self.named[task](image)
                    outputs |= {f'{task}/{name}': value for name, value in own.items()}
        return outputs


def drop_unused(model: nn.Module, *, second_stage: bool) -> None:
    """Replace, in place, what the outputs do not depend on: files should not carry its weights."""
    for name in _UNUSED if second_stage else (*_UNUSED, 'roi_head'):
        if isinstance(getattr(model, name, None), nn.Module):
            setattr(model, name, nn.Identity())


def _outputs(model: Any, images: Tensor) -> dict[str, Any]:
    """Name -> a tensor, or one for each level."""
    if hasattr(model, 'roi_head'):
        features = model.extract_feat(images)
        rpn = _named(model.rpn_head, model.rpn_head(features)) if model.with_rpn else {}
        return {'features': features, **{f'rpn_{name}': value for name, value in rpn.items()}}
    heads = (getattr(model, name, None) for name in _HEADS)
    head = next((head for head in heads if head is not None), None)
    last = head[-1] if isinstance(head, nn.ModuleList) else head
    return _named(last, model(images, None, mode='tensor'))


def _named(head: object, outputs: Any) -> dict[str, Any]:
    values: Sequence[Any] = (outputs,) if isinstance(outputs, Tensor) else outputs
    classes = (each.__name__ for each in type(head).__mro__)
    names = next((_NAMES[name] for name in classes if name in _NAMES), ())
    if len(names) != len(values):
        names = tuple(f'output_{index}' for index in range(len(values)))
    return dict(zip(names, values, strict=True))


def _flat(outputs: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    for name, value in outputs.items():
        if isinstance(value, Tensor):
            yield name, value
        else:
            yield from _flat({f'{name}_{level}': part for level, part in enumerate(value)})
