"""Sizes of models, and the published figures beside ours."""

from .complexity import Complexity, build_on_meta, measure
from .published import PUBLISHED_SCORES, PUBLISHED_SIZES, SOURCES, PublishedScore, PublishedSize
from .report import as_markdown, as_text
from .shapes import require_shape, shape_of
from .table import Comparison, as_records, compare, configs_folder, require_json, write_json

__all__ = [
    'PUBLISHED_SCORES',
    'PUBLISHED_SIZES',
    'SOURCES',
    'Comparison',
    'Complexity',
    'PublishedScore',
    'PublishedSize',
    'as_markdown',
    'as_records',
    'as_text',
    'build_on_meta',
    'compare',
    'configs_folder',
    'measure',
    'require_json',
    'require_shape',
    'shape_of',
    'write_json',
]
