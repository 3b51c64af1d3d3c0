"""Several processes of one job: how they meet, agree on mistakes, and end together."""

from .data_parallel import CPUDistributedDataParallel
from .group import start_group, wrap_for_cpu
from .job_watch import JobWatch, LostProcess
from .slurm import take_over_slurm
from .together import agreed, first_to_say

__all__ = [
    'CPUDistributedDataParallel',
    'JobWatch',
    'LostProcess',
    'agreed',
    'first_to_say',
    'start_group',
    'take_over_slurm',
    'wrap_for_cpu',
]
