"""What the demo trains, as a table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DemoTask:
    """One task of the demo.

    Attributes:
        name: what the task is called in tables and folders.
        config: file name in ``configs/``.
        data: folder of the synthetic data that the config's ``data_root`` stands for.
        metric: key of the metric as the evaluator names it.
        label: the metric's name for people.
        scale: what the evaluator's value is to be multiplied by to lie between 0 and 1.
        aim: what a healthy run reaches, between 0 and 1.
    """

    name: str
    config: str
    data: str
    metric: str
    label: str
    aim: float
    scale: float = 1.0


@dataclass(frozen=True)
class Result:
    """What one task reached on the val split."""

    task: DemoTask
    value: float
    seconds: float


TASKS = (
    DemoTask(
        name='pose',
        config='hrnetv1_w18_small_v1_synthetic_192x144.py',
        data='coco',
        metric='coco/AP',
        label='keypoint AP (OKS 0.50:0.95)',
        aim=0.7,
    ),
    DemoTask(
        name='segmentation',
        config='hrnetv2_w18_small_v1_synthetic.py',
        data='cityscapes',
        metric='mIoU',
        label='mIoU',
        aim=0.7,
        scale=0.01,
    ),
    DemoTask(
        name='detection',
        config='hrnetv2p_w18_small_v1_faster_rcnn_synthetic.py',
        data='coco',
        metric='coco/bbox_mAP',
        label='box AP (IoU 0.50:0.95)',
        aim=0.5,
    ),
)
