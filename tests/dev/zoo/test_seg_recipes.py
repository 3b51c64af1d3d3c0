"""The segmentation configs train as long, as fast and on as much as the authors' experiment files say."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from mmengine.config import Config
from own_configs import CONFIGS, read_config


class Recipe(NamedTuple):
    """Of HRNet-Semantic-Segmentation, `experiments/<data>/*.yaml`, and the size of the training set."""

    images: int
    batch: int
    epochs: int
    rate: float
    decay: float
    crop: tuple[int, int]
    scales: tuple[float, float]  # 0.5 + SCALE_FACTOR / 10 at most
    head_rate: int = 1
    mined: bool = False


_CONTEXT = Recipe(4998, 16, 200, 1e-3, 1e-4, (520, 520), (0.5, 2.1), head_rate=10)
RECIPES = {
    'cityscapes': Recipe(2975, 12, 484, 1e-2, 5e-4, (512, 1024), (0.5, 2.1)),
    'pascal_context_59': _CONTEXT,
    'pascal_context_60': _CONTEXT,
    'lip': Recipe(30462, 40, 150, 7e-3, 5e-4, (473, 473), (0.5, 1.6)),
    'w48_ade20k': Recipe(20210, 16, 120, 2e-2, 1e-4, (520, 520), (0.5, 1.6), mined=True),
    'ocr_ade20k': Recipe(20210, 16, 120, 2e-2, 1e-4, (520, 520), (0.5, 2.1), mined=True),
    'coco_stuff10k': Recipe(9000, 16, 110, 1e-3, 1e-4, (520, 520), (0.5, 2.1), head_rate=10, mined=True),
}
CASES = [
    pytest.param(path, RECIPES[data], id=path.stem)
    for path in CONFIGS
    for data in RECIPES
    if path.stem.endswith(f'_{data}')
]


@pytest.mark.parametrize(('path', 'recipe'), CASES)
def test_recipe_and_loss_are_the_authors(path, recipe: Recipe) -> None:
    assert len(CASES) == 17
    cfg = read_config(path)
    iterations = recipe.images // recipe.batch * recipe.epochs
    assert cfg.train_cfg.max_iters == iterations
    (schedule,) = cfg.param_scheduler
    assert (schedule.type, schedule.power, schedule.eta_min) == ('PolyLR', 0.9, 0)
    assert (schedule.begin, schedule.end, schedule.by_epoch) == (0, iterations, False)
    assert cfg.train_dataloader.batch_size * 4 == cfg.auto_scale_lr.base_batch_size == recipe.batch

    optimizer = cfg.optim_wrapper.optimizer
    assert optimizer == dict(type='SGD', lr=recipe.rate, momentum=0.9, weight_decay=recipe.decay)
    custom = cfg.optim_wrapper.get('paramwise_cfg', {}).get('custom_keys', {})
    assert {custom.get(part, {}).get('lr_mult', 1) for part in ('neck', 'decode_head')} == {recipe.head_rate}

    steps = {step.type: step for step in cfg.train_dataloader.dataset.pipeline}
    assert steps['RandomResize'].ratio_range == recipe.scales
    assert steps['RandomCrop'].crop_size == cfg.model.data_preprocessor.size == recipe.crop
    assert 'PhotoMetricDistortion' not in steps

    heads = cfg.model.decode_head if isinstance(cfg.model.decode_head, list) else [cfg.model.decode_head]
    weights = [head.loss_decode.loss_weight for head in heads]
    assert weights == ([0.4, 1.0] if 'ocr' in path.stem else [1.0])
    assert [_is_mined(head) for head in heads] == [False] * (len(heads) - 1) + [recipe.mined]
    balanced = 'cityscapes' in path.stem
    for head in heads:
        assert head.num_classes == _classes(cfg)
        assert (len(head.loss_decode.get('class_weight') or ()) == head.num_classes) == balanced


def _is_mined(head: Config) -> bool:
    sampler = head.get('sampler')
    return sampler is not None and sampler == dict(type='OHEMPixelSampler', thresh=0.9, min_kept=32768)


def _classes(cfg: Config) -> int:
    import mmseg.datasets

    return len(getattr(mmseg.datasets, cfg.train_dataloader.dataset.type).METAINFO['classes'])
