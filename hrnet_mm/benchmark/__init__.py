"""HRNet's speed and memory beside the peers', in one run, after a check that all compute the same."""

from .agreement import Disagreement
from .chart import draw_chart, require_png
from .request import DEVICES, KINDS, MEMORY, MODES, PRECISIONS, Request, make_request
from .results import MatchResult, Report, Row, write_report
from .run import benchmark
from .table import as_text

__all__ = [
    'DEVICES',
    'KINDS',
    'MEMORY',
    'MODES',
    'PRECISIONS',
    'Disagreement',
    'MatchResult',
    'Report',
    'Request',
    'Row',
    'as_text',
    'benchmark',
    'draw_chart',
    'make_request',
    'require_png',
    'write_report',
]
