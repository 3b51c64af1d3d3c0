"""HRNet under any model of the four codebases, as a small config that inherits the model's own."""

from .refusal import SwapRefused
from .request import NECKS, SwapRequest
from .swapping import Swap, default_out, swap_config

__all__ = ['NECKS', 'Swap', 'SwapRefused', 'SwapRequest', 'default_out', 'swap_config']
