"""Training and testing with a config of any of the four codebases, and the hooks that guard a run."""

from .checkpoint_hook import WholeCheckpointHook
from .compile_hook import CompileHook
from .data_parallel import CPUDistributedDataParallel
from .exact_resume import ExactResumeHook
from .finite_loss_hook import FiniteLossHook
from .group import start_group, wrap_for_cpu
from .inference_form_hook import InferenceFormHook
from .job_watch import JobWatch, LostProcess
from .metrics import as_floats, metrics_table, write_metrics
from .numeric_fault import NumericFault
from .progress_hook import TrainProgressHook
from .run import check_runnable, run_test, run_train
from .slurm import take_over_slurm
from .tensorboard import LocalTensorboardVisBackend
from .together import agreed, first_to_say

__all__ = [
    'CPUDistributedDataParallel',
    'CompileHook',
    'ExactResumeHook',
    'FiniteLossHook',
    'InferenceFormHook',
    'JobWatch',
    'LocalTensorboardVisBackend',
    'LostProcess',
    'NumericFault',
    'TrainProgressHook',
    'WholeCheckpointHook',
    'agreed',
    'as_floats',
    'check_runnable',
    'first_to_say',
    'metrics_table',
    'run_test',
    'run_train',
    'start_group',
    'take_over_slurm',
    'wrap_for_cpu',
    'write_metrics',
]
