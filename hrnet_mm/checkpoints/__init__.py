"""Reading weights without ever executing what a file says."""

from .safe_globals import allow_training_checkpoints

__all__ = ['allow_training_checkpoints']
