"""Sizes, memory and time of models, and the published figures beside ours."""

from .comparison import (
    Measured,
    compare_partners,
    comparison_records,
    config_of,
    partners_of,
    require_tasks,
    write_comparison,
)
from .comparison_page import comparison_page
from .complexity import Complexity, complexity_of, measure
from .memory import Memory, PeakMemory, inference_peak, measure_memory, memory_of, training_peak
from .memory_report import largest_as_text, memory_as_text, recomputations_as_text
from .partners import PARTNERS, TASKS, Partner, Published
from .published import PUBLISHED_SCORES, PUBLISHED_SIZES, SOURCES, PublishedScore, PublishedSize
from .report import as_markdown, as_text
from .running import build, build_on_meta, empty_image, run
from .shapes import require_shape, shape_of
from .table import Comparison, as_records, compare, configs_folder, write_json
from .timing import Timing, time_inference
from .training_memory import (
    Recomputation,
    TrainingMemory,
    is_ours,
    largest_batch,
    predict_training_memory,
    recomputations,
)

__all__ = [
    'PARTNERS',
    'PUBLISHED_SCORES',
    'PUBLISHED_SIZES',
    'SOURCES',
    'TASKS',
    'Comparison',
    'Complexity',
    'Measured',
    'Memory',
    'Partner',
    'PeakMemory',
    'Published',
    'PublishedScore',
    'PublishedSize',
    'Recomputation',
    'Timing',
    'TrainingMemory',
    'as_markdown',
    'as_records',
    'as_text',
    'build',
    'build_on_meta',
    'compare',
    'compare_partners',
    'comparison_page',
    'comparison_records',
    'complexity_of',
    'config_of',
    'configs_folder',
    'empty_image',
    'inference_peak',
    'is_ours',
    'largest_as_text',
    'largest_batch',
    'measure',
    'measure_memory',
    'memory_as_text',
    'memory_of',
    'partners_of',
    'predict_training_memory',
    'recomputations',
    'recomputations_as_text',
    'require_shape',
    'require_tasks',
    'run',
    'shape_of',
    'time_inference',
    'training_peak',
    'write_comparison',
    'write_json',
]
