"""Training that a kill cannot spoil: whole checkpoints, and resumed runs that equal uninterrupted ones."""

from .checkpoint_hook import WholeCheckpointHook
from .hook import ExactResumeHook

__all__ = ['ExactResumeHook', 'WholeCheckpointHook']
