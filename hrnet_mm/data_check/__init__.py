"""Faults in data: found before a run, told about or left out during one."""

from .hook import DataGuardHook
from .report import Report
from .run import SPLITS, check_datasets
from .start import check_start

__all__ = ['SPLITS', 'DataGuardHook', 'Report', 'check_datasets', 'check_start']
