"""Random images with random but valid annotations for models of all four codebases."""

from .batches import Batches, prepare, random_batches, sizes, what_inputs_depend_on

__all__ = ['Batches', 'prepare', 'random_batches', 'sizes', 'what_inputs_depend_on']
