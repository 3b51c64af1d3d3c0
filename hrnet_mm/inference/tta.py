"""Test-time augmentation: each image is also tested flipped and in other sizes, and results are averaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mmengine.config import Config

from ..config.codebases import CODEBASES, require_scope
from ..config.errors import ConfigError
from ..config.joint import require_one_task
from ..config.paths import iter_datasets, type_name
from ..pictures.predictions import loads_annotations
from ..utils import iter_dicts

#: Codebase -> the model that averages, and the sizes of an image as parts of the one that is tested.
_DEFAULTS: Final[Mapping[str, tuple[dict[str, Any], tuple[float, ...]]]] = {
    'mmseg': ({'type': 'SegTTAModel'}, (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)),
    'mmdet': (
        {
            'type': 'DetTTAModel',
            'tta_cfg': {'nms': {'type': 'nms', 'iou_threshold': 0.5}, 'max_per_img': 100},
        },
        (0.5, 1.0, 1.5),
    ),
    'mmpretrain': ({'type': 'AverageClsScoreTTA'}, (1.0,)),
}
_FLIPS: Final = [{'type': 'RandomFlip', 'prob': prob} for prob in (1.0, 0.0)]
_FLIP_META: Final = ('flip', 'flip_direction')  # how predictions are turned back


def set_tta(cfg: Config, enabled: bool) -> None:
    """Make a config's test use test-time augmentation, or not, in place.

    Of pose that is ``flip_test``. The other packages have models for it: the config's ``tta_model`` and
    ``tta_pipeline`` are used where it has them, otherwise the test pipeline's steps with flips and, except
    for classification, with the sizes of this module's table.

    Raises:
        ConfigError: if the codebase has no such model, or it would lose the model's masks.
    """
    require_one_task(cfg)
    scope = require_scope(cfg)
    if CODEBASES[scope].task == 'pose':
        cfg.model.test_cfg = {**(cfg.model.get('test_cfg') or {}), 'flip_test': enabled}
        return
    if not enabled:
        return
    if scope not in _DEFAULTS:
        raise ConfigError(key='--tta', value=scope, expected=f'one of {", ".join(_DEFAULTS)}, or pose')
    if scope == 'mmdet' and any('mask_head' in part for _, part in iter_dicts(cfg.model)):
        raise ConfigError(
            key='--tta', value=cfg.model.type, expected='a model without masks: mmdet averages boxes alone'
        )
    model, scales = _DEFAULTS[scope]
    for _, dataset in iter_datasets(cfg, stages=('test',)):
        own = cfg.get('tta_pipeline')
        dataset['pipeline'] = own or _augmented(dataset['pipeline'], scales=scales)
    cfg.model = {**(cfg.get('tta_model') or model), 'module': cfg.model}


def _augmented(pipeline: Sequence[Mapping[str, Any]], *, scales: Sequence[float]) -> list[dict[str, Any]]:
    """The steps before the resize, and one that does the others once for each size and flip.

    Annotations are loaded behind these: predictions are turned back, the truth would stay as it was turned.
    """
    *others, pack = (dict(step) for step in pipeline)
    steps = [step for step in others if not loads_annotations(step)]
    if 'meta_keys' in pack:
        pack['meta_keys'] = tuple(dict.fromkeys((*pack['meta_keys'], *_FLIP_META)))
    names = [type_name(step['type']) for step in steps]
    at = names.index('Resize') if len(scales) > 1 and 'Resize' in names else len(steps)
    sizes = [[_scaled(step, by) for by in scales] for step in steps[at : at + 1]]
    behind = [[step] for step in (*steps[at + 1 :], *filter(loads_annotations, others), pack)]
    return [*steps[:at], {'type': 'TestTimeAug', 'transforms': [*sizes, _FLIPS, *behind]}]


def _scaled(resize: Mapping[str, Any], by: float) -> dict[str, Any]:
    key = 'scale' if resize.get('scale') is not None else 'scale_factor'
    value = resize[key]
    if key == 'scale':
        sides = (value, value) if isinstance(value, int) else value
        return {**resize, key: tuple(round(side * by) for side in sides)}
    return {**resize, key: value * by}
