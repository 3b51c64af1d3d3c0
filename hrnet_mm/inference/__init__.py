"""What trained networks find in images, folders and videos: pictures of it, and JSON."""

from .plan import TASKS, NetworkFiles
from .running import infer
from .settings import Outcome, Settings
from .sources import find_source

__all__ = ['TASKS', 'NetworkFiles', 'Outcome', 'Settings', 'find_source', 'infer']
