"""The table of networks against the configs that it names."""

from __future__ import annotations

import re

import pytest
from racing.networks import TASKS, Entrant

from hrnet_mm.config.load import load_config

ENTRANTS = {
    f'{task} {entrant.full.label}': entrant
    for task, about in TASKS.items()
    for entrant in (*about.networks, *about.ablation)
}
#: Who trains on four GPUs, and says so in no place that a program can read.
OURS_BATCH = {'segmentation HRNet': 4, 'segmentation HRNetV1': 4}


@pytest.mark.parametrize('name', ENTRANTS)
def test_rates_are_those_of_the_recipes(name: str):
    entrant: Entrant = ENTRANTS[name]
    config = entrant.full.config
    cfg = load_config(config if '::' in config else f'hrnet_mm::{config}')
    assert cfg.optim_wrapper.optimizer.lr == entrant.rate
    if gpus := re.search(r'_(\d)xb(\d)-\d+k_', config):  # mmseg, whose base_batch_size is 16 for all
        assert entrant.batch == int(gpus[1]) * int(gpus[2])
    elif config.startswith('relatives/'):
        assert entrant.batch == 4 * cfg.train_dataloader.batch_size
    else:
        assert entrant.batch == cfg.auto_scale_lr.base_batch_size
