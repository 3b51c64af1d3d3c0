"""HRNet under any model of the four codebases, as a small config that inherits the model's own."""

from .request import NECKS, SwapRefused, SwapRequest
from .swapping import Swap, swap_config

__all__ = ['NECKS', 'Swap', 'SwapRefused', 'SwapRequest', 'swap_config']
