"""HRNet under any model of the four codebases, as a small config that inherits the model's own."""

from .request import NECKS, SwapRefused, SwapRequest
from .swapping import Swap, default_out, swap_config

__all__ = ['NECKS', 'Swap', 'SwapRefused', 'SwapRequest', 'default_out', 'swap_config']
