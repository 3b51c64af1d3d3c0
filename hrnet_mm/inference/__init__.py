"""What trained networks find in images, folders and videos: pictures of it, and JSON."""

from .painting import LAYOUTS, Layer, paint
from .plan import TASKS, NetworkFiles
from .running import infer
from .settings import Outcome, Settings
from .sources import find_source

__all__ = [
    'LAYOUTS',
    'TASKS',
    'Layer',
    'NetworkFiles',
    'Outcome',
    'Settings',
    'find_source',
    'infer',
    'paint',
]
