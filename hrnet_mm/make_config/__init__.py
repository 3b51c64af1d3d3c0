"""From a folder of data as people have it to a config that trains on it."""

from .run import MadeConfig, make_config

__all__ = ['MadeConfig', 'make_config']
