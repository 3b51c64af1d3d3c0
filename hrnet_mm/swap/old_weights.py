"""Weights of the old network, and the colours they were trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

#: ImageNet's RGB mean and deviation, which the published HRNet weights were trained with.
_MEAN = [123.675, 116.28, 103.53]
_STD = [58.395, 57.12, 57.375]
_CLOSE = 1.0  # grey levels: packages round the constants differently


def has_weights(model: Mapping[str, Any], *, load_from: Any = None) -> bool:
    """Whether the model, or a part of it, starts from pretrained weights."""
    return bool(load_from) or any(True for _ in _pretrained(model))


def drop_weights(model: dict[str, Any]) -> None:
    """Let no part of the model load weights of the old network, in place."""
    for holder, key in list(_pretrained(model)):
        # None and not a removal, which would make the heir repeat the whole dict
        holder[key] = None


def use_imagenet_colours(model: dict[str, Any]) -> None:
    """Normalise images as ImageNet weights expect, in place, at any depth (``MultiBranch...`` nests)."""
    for node in _dicts(model):
        if isinstance(node.get('data_preprocessor'), dict):
            _normalise(node['data_preprocessor'])


def _normalise(preprocessor: dict[str, Any]) -> None:
    mean, std = preprocessor.get('mean'), preprocessor.get('std')
    if mean is None or std is None or len(mean) != len(_MEAN):
        return
    to_rgb = next((key for key in ('bgr_to_rgb', 'to_rgb') if key in preprocessor), 'bgr_to_rgb')
    is_close = all(abs(a - b) < _CLOSE for a, b in zip([*mean, *std], [*_MEAN, *_STD], strict=True))
    if is_close and preprocessor.get(to_rgb):
        return
    preprocessor |= {'mean': list(_MEAN), 'std': list(_STD), to_rgb: True}
    if preprocessor.get('rgb_to_bgr'):
        preprocessor['rgb_to_bgr'] = False


def _pretrained(node: Any) -> Iterator[tuple[dict[str, Any], str]]:
    for holder in _dicts(node):
        if holder.get('pretrained'):
            yield holder, 'pretrained'
        if is_pretrained(holder.get('init_cfg')):
            yield holder, 'init_cfg'


def is_pretrained(init_cfg: Any) -> bool:
    """Whether an ``init_cfg``, or one of a list, loads a checkpoint."""
    cfgs = init_cfg if isinstance(init_cfg, (list, tuple)) else [init_cfg]
    return any(isinstance(cfg, Mapping) and cfg.get('type') == 'Pretrained' for cfg in cfgs)


def _dicts(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    values = node.values() if isinstance(node, dict) else node if isinstance(node, (list, tuple)) else ()
    for value in values:
        yield from _dicts(value)
