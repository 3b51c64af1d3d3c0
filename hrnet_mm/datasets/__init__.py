"""Bringing data into the layouts that the OpenMMLab packages read."""

from .coco_masks import write_coco_masks

__all__ = ['write_coco_masks']
