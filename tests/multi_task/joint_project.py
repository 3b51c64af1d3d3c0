"""Tiny data and configs of three tasks, and the config that joins them."""

from __future__ import annotations

from pathlib import Path

import small_runs

NAMES = ('pose', 'segmentation', 'detection')
#: What the tasks' own configs disagree in.
BACKBONE = "dict(upsample_cfg=dict(mode='nearest'))"
#: The detection run of ``small_runs`` does not validate.
_DETECTION_VAL = """
pack = dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))
val_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='CocoDataset', data_root='data/', ann_file='people.json', test_mode=True,
                 data_prefix=dict(img='images/'), metainfo=dict(classes=('person',)),
                 pipeline=[dict(type='LoadImageFromFile'), dict(type='Resize', scale_factor=1.0),
                           dict(type='LoadAnnotations', with_bbox=True), pack]))
val_evaluator = dict(type='CocoMetric', ann_file='data/people.json', metric='bbox')
val_cfg = dict()
"""


def write_tasks(place: Path) -> dict[str, Path]:
    """Each task's data and config, in a folder of its own."""
    configs = {}
    for name in NAMES:
        folder = place / name
        config = small_runs.write_project(folder, name)
        text = config.read_text() + (_DETECTION_VAL if name == 'detection' else '')
        config.write_text(text.replace("'data", f"'{folder}/data"))
        configs[name] = config
    return configs


def write_joint(
    place: Path, *, names: tuple[str, ...] = NAMES, backbone: str = BACKBONE, more: str = ''
) -> Path:
    """The config of all of them, with a run of six steps."""
    configs = {name: str(path) for name, path in write_tasks(place).items() if name in names}
    config = place / 'joint.py'
    config.write_text(f"""
_base_ = '{small_runs.ROOT}/configs/_base_/multi_task.py'
from hrnet_mm.config.joining import join_configs
joint = join_configs({configs}, backbone={backbone})
model, train_dataloader = joint.model, joint.train_dataloader
val_dataloader, val_evaluator = joint.val_dataloader, joint.val_evaluator
test_dataloader, test_evaluator = val_dataloader, val_evaluator
del joint
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=0.001))
train_cfg = dict(max_iters=6, val_interval=6)
default_hooks = dict(checkpoint=dict(interval=2), logger=dict(interval=1))
randomness = dict(seed=3)
log_level = 'WARNING'
{more}
""")
    return config
