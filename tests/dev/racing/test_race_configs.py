"""What networks of a race share, and what is their own."""

from __future__ import annotations

import pytest
from mmengine.config import Config
from racing.configs import _resize, base_config, entrant_config, set_length

from hrnet_mm.config.errors import ConfigError
from hrnet_mm.utils import iter_dicts

SHARED = ('train_dataloader', 'test_dataloader', 'test_evaluator', 'train_cfg', 'randomness')


def configs_of(race):
    base = base_config(race)
    configs = {each.name: entrant_config(base, each, race) for each in race.entrants}
    for cfg in configs.values():
        set_length(cfg, race.iterations)
    return configs


@pytest.mark.parametrize('task', ['segmentation', 'pose', 'detection'])
def test_all_but_model_and_rate_is_shared(make_race, task):
    race = make_race(task, iterations=100, seed=5)
    first, *others = configs_of(race).values()
    rate = first.optim_wrapper.optimizer.lr
    for cfg in others:
        schedule = [dict(each) for each in cfg.param_scheduler]
        schedule[-1]['eta_min'] *= rate / cfg.optim_wrapper.optimizer.lr
        assert schedule[-1].pop('eta_min') == pytest.approx(first.param_scheduler[-1].eta_min)
        assert [each['end'] for each in schedule] == [10, 100]
        for key in SHARED:
            assert cfg[key] == first[key], key


@pytest.mark.parametrize('task', ['segmentation', 'pose', 'detection'])
@pytest.mark.parametrize('width', ['small', 'full'])
def test_nobody_starts_from_pretrained_or_frozen_weights(make_race, task, width):
    for name, cfg in configs_of(make_race(task, width=width)).items():
        for key, part in iter_dicts(cfg.model):
            start = part.get('init_cfg')
            assert not isinstance(start, dict) or start['type'] != 'Pretrained', (name, key)
            assert part.get('pretrained') is None and part.get('frozen_stages', -1) == -1, (name, key)
            assert not part.get('norm_eval'), (name, key)


def test_rates_follow_the_recipes_at_equal_batches(make_race):
    configs = configs_of(make_race('segmentation'))
    rates = {name: cfg.optim_wrapper.optimizer.lr for name, cfg in configs.items()}
    assert rates['HRNetV2'] == 0.05  # of the drawn data's recipe
    # U-Net's recipe has 16 images a step for the rate that HRNet's has for 12, PSPNet's 8
    assert rates['U-Net'] == pytest.approx(0.05 * 12 / 16) and rates['PSPNet'] == pytest.approx(0.05 * 12 / 8)
    doubled = configs_of(make_race('segmentation', batch=16))['PSPNet'].optim_wrapper.optimizer
    assert doubled.lr == pytest.approx(2 * rates['PSPNet'])
    given = configs_of(make_race('segmentation', rate=0.1))['U-Net'].optim_wrapper.optimizer
    assert given.lr == pytest.approx(0.1 * 12 / 16)
    adam = configs_of(make_race('pose', batch=32))['HRNetV1'].optim_wrapper.optimizer
    assert adam.lr == pytest.approx(3e-3 * 2)  # four times the batch


def test_images_are_halved_and_crops_fit_in_them():
    codec = dict(type='UDPHeatmap', input_size=(144, 192), heatmap_size=(36, 48))
    pipeline = [
        dict(type='Resize', scale=(480, 360)),
        dict(type='RandomCrop', crop_size=(360, 480)),
        dict(type='ResizeEdge', scale=256),
        dict(type='GenerateTarget', encoder=codec),
    ]
    loader = dict(dataset=dict(pipeline=pipeline))
    cfg = Config(dict(model=dict(head=dict(decoder=codec)), train_dataloader=loader, test_dataloader={}))
    _resize(cfg, factor=0.5, multiple=32)
    resized, cropped, edge, target = cfg.train_dataloader.dataset.pipeline
    assert (resized.scale, cropped.crop_size, edge.scale) == ((240, 180), (160, 224), 128)
    for each in (target.encoder, cfg.model.head.decoder):
        assert (each.input_size, each.heatmap_size) == ((64, 96), (16, 24))


def test_drawn_data_are_refused_where_they_do_not_serve(make_race):
    with pytest.raises(ConfigError, match=r'--data = .*: expected a folder of images for each class'):
        base_config(make_race('classification'))
    with pytest.raises(ConfigError, match=r'--resolution = 0\.5: expected 1 for drawn data'):
        base_config(make_race('detection', resolution=0.5))
