"""HRNet's speed and memory beside the peers', in one run, after a check that all compute the same."""

from .agreement import Disagreement
from .chart import draw_chart
from .growth import AXES, draw_growth, growth_as_text, growth_record, measure_growth
from .request import DEVICES, KINDS, MEMORY, MODES, PRECISIONS, Request, make_request
from .results import MatchResult, Report, Row, write_record
from .run import benchmark
from .start_up import measure_start_up, start_up_as_text, start_up_record
from .table import as_text

__all__ = [
    'AXES',
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
    'draw_growth',
    'growth_as_text',
    'growth_record',
    'make_request',
    'measure_growth',
    'measure_start_up',
    'start_up_as_text',
    'start_up_record',
    'write_record',
]
