"""A trained model as a file for other runtimes, checked against the model before it is left behind."""

from .formats import require_target
from .run import ExportReport, export_model

__all__ = ['ExportReport', 'export_model', 'require_target']
