"""Data sets: faults found before a run, told about or left out during one; label maps from polygons."""

from .check import SPLITS, check_datasets, check_start
from .findings import DataReport
from .guard import DataGuardHook
from .label_maps import write_coco_masks

__all__ = ['SPLITS', 'DataGuardHook', 'DataReport', 'check_datasets', 'check_start', 'write_coco_masks']
