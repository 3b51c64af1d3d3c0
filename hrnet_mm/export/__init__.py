"""A trained model as a file for other runtimes, checked against the model before it is left behind."""

from .images import ImageFormat
from .model import bare_model, trained_model
from .request import require_target
from .run import ExportReport, export_model

__all__ = ['ExportReport', 'ImageFormat', 'bare_model', 'export_model', 'require_target', 'trained_model']
