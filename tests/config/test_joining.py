"""Configs of single tasks, joined."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config
from refusal import refuses

from hrnet_mm.config.joining import join_configs, joint_config_text

POSE = 'mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-w32_8xb64-210e_coco-256x192.py'
BOXES = 'mmdet::hrnet/fcos_hrnetv2p-w18-gn-head_4xb4-1x_coco.py'


def test_backbones_have_to_agree_or_one_is_chosen() -> None:
    refuses(lambda: join_configs({'pose': POSE, 'boxes': BOXES}), 'backbone.arch', 'pose: w32, boxes: w18')
    backbone = join_configs({'pose': POSE, 'boxes': BOXES}, backbone={'arch': 'w18'}).model.backbone
    assert backbone.arch == 'w18' and 'extra' not in backbone


def test_each_task_takes_its_maps() -> None:
    joint = join_configs({'pose': POSE})
    assert joint.model.backbone.out_indices == (0,) and 'out_indices' not in joint.model.tasks.pose
    both = join_configs({'pose': POSE, 'boxes': BOXES}, backbone={'arch': 'w32'}).model
    assert both.backbone.out_indices == (0, 1, 2, 3) and both.tasks.pose.out_indices == (0,)


def test_a_run_may_be_short(tmp_path: Path) -> None:
    path = tmp_path / 'joint.py'
    path.write_text(joint_config_text([POSE], iterations=4))
    warm_up = Config.fromfile(path).param_scheduler[0]
    assert warm_up.begin < warm_up.end


def test_two_tasks_of_one_package_and_a_classifier() -> None:
    files = {
        'streets': 'mmseg::hrnet/fcn_hr18_4xb2-40k_cityscapes-512x1024.py',
        'objects': 'mmseg::hrnet/fcn_hr18_4xb4-20k_voc12aug-512x512.py',
        'classes': 'mmpretrain::hrnet/hrnet-w18_4xb32_in1k.py',
    }
    refuses(
        lambda: join_configs(files), "classes: {'mode': 'nearest'}", '--backbone upsample_cfg.mode=nearest'
    )
    refuses(lambda: join_configs(files, backbone={'upsample_cfg': 'nearest'}), 'backbone', 'HRNetBackbone')
    joint = join_configs(files, backbone=dict(upsample_cfg=dict(mode='nearest')))
    assert [task._scope_ for task in joint.model.tasks.values()] == ['mmseg', 'mmseg', 'mmpretrain']
    counts = [joint.model.tasks[name].decode_head.num_classes for name in ('streets', 'objects')]
    assert counts == [19, 21]
    assert joint.train_dataloader.classes.collate_fn.type == 'default_collate'
