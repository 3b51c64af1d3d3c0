"""What trained networks find in images, folders and videos: predictions, pictures of them, and JSON."""

from .network import Network
from .run import Outcome, infer
from .sources import find_source

__all__ = ['Network', 'Outcome', 'find_source', 'infer']
