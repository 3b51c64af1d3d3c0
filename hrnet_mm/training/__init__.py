"""Training and testing with a config of any codebase, and the hooks that guard a run."""

from .checkpoint_hook import WholeCheckpointHook
from .checks import check_run, check_runnable
from .cuda_graph_hook import CUDAGraphHook
from .finite_loss_hook import FiniteLossHook, NumericFault
from .guards import RunGuardHook
from .hooks import CompileHook, InferenceFormHook, TrainProgressHook
from .per_class import PerClassHook
from .processes import CPUDistributedDataParallel, Interrupted, LostProcess, start_group
from .resume import ExactResumeHook
from .run import as_floats, metrics_table, run_test, run_train, write_metrics

__all__ = [
    'CPUDistributedDataParallel',
    'CUDAGraphHook',
    'CompileHook',
    'ExactResumeHook',
    'FiniteLossHook',
    'InferenceFormHook',
    'Interrupted',
    'LostProcess',
    'NumericFault',
    'PerClassHook',
    'RunGuardHook',
    'TrainProgressHook',
    'WholeCheckpointHook',
    'as_floats',
    'check_run',
    'check_runnable',
    'metrics_table',
    'run_test',
    'run_train',
    'start_group',
    'write_metrics',
]
