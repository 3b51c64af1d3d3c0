"""One pretraining serves all: a classifier of ours starts every other task, and any task any other.

Checkpoints are written by MMEngine's runner from the shipped configs, narrowed to the smallest architecture,
and read as ``docs/pretraining.md`` says: ``--cfg-options model.backbone.init_cfg.checkpoint=FILE``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peers import in_scope, models_of, scramble
from test_mm import listen_to_reports, save_by_runner
from torch import Tensor, nn

from hrnet_mm.checkpoints import load_file
from hrnet_mm.config.load import load_config

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
CHANNELS = [16, 32, 64, 128]
#: Task -> shipped config, and what follows from another width.
TASKS: dict[str, tuple[str, dict[str, Any]]] = {
    'classification': ('hrnet_w32_imagenet.py', {'neck.0.in_channels': CHANNELS, 'head.num_classes': 5}),
    'pose': ('hrnetv1_w32_coco_256x192.py', {'head.in_channels': 16}),
    'segmentation': (
        'hrnetv2_w48_cityscapes.py',
        {'neck.in_channels': CHANNELS, 'decode_head.in_channels': 240, 'decode_head.channels': 240},
    ),
    'detection': (
        'hrnetv2p_w32_faster_rcnn_coco_1x.py',
        {'neck.in_channels': CHANNELS, 'roi_head.bbox_head.fc_out_channels': 16},
    ),
}


def build(task: str, file: Path | None = None) -> Any:
    """The config's model, its body to be read from a file, or random."""
    name, options = TASKS[task]
    options = {'backbone.arch': 'w18_small_v1', **options, 'backbone.init_cfg': None}
    if file is None:
        options['backbone.norm_eval'] = False
    else:
        options['backbone.init_cfg'] = dict(type='Pretrained', checkpoint=str(file))
    cfg = load_config(CONFIGS / name, options={f'model.{key}': value for key, value in options.items()})
    with in_scope(cfg.default_scope):
        return models_of(cfg.default_scope).build(cfg.model)


def body(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix('backbone.'): v for key, v in state.items() if key.startswith('backbone.')}


@pytest.mark.parametrize(
    ('source', 'target'),
    [('classification', 'pose'), ('classification', 'detection'), ('pose', 'segmentation')],
)
def test_any_task_starts_the_body_of_any_other_and_nothing_else(
    source: str, target: str, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    file = tmp_path / 'trained.pth'
    save_by_runner(scramble(build(source)), file)
    model: nn.Module = build(target, file)
    before = {key: value.clone() for key, value in model.backbone.state_dict().items()}
    with listen_to_reports() as reports:
        model.init_weights()
    trained, state = body(load_file(file)['state_dict']), body(model.state_dict())
    for key in state.keys() & trained.keys():
        assert torch.equal(state[key], trained[key]), key
    # a pose network says nothing about fusion into streams that it does not produce, and needs nothing of it
    missing, left_over = state.keys() - trained.keys(), trained.keys() - state.keys()
    assert (bool(missing), bool(left_over)) == (source == 'pose', target == 'pose')
    assert all(key.startswith('stage4.0.fuse_layers.') for key in missing | left_over)
    assert all(torch.equal(state[key], before[key]) for key in missing)
    (report,) = reports
    named = [key for key in missing if not key.endswith('num_batches_tracked')]
    assert f'loaded: {len(state) - len(missing)} of ' in report.getMessage()
    assert (f'missing, left as initialised: {len(named)}' in report.getMessage()) == bool(missing)
    # segmentation upsamples bilinearly, the others do not: fine to start from, and said
    said = any("trained with upsample_cfg={'mode': 'nearest'}" in str(each.message) for each in recwarn)
    assert said == (target == 'segmentation')
