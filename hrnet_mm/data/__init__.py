"""Data sets: faults found before a run, told about or left out during one; label maps from polygons."""

from .coco_masks import write_coco_masks
from .guard_hook import DataGuardHook
from .report import Report
from .run import SPLITS, check_datasets
from .start import check_start

__all__ = ['SPLITS', 'DataGuardHook', 'Report', 'check_datasets', 'check_start', 'write_coco_masks']
