"""The model zoo: every shipped config as a row, a page and metadata that mim reads."""

from .entries import ZooEntry, zoo_entries
from .index import index_files
from .page import as_page

__all__ = ['ZooEntry', 'as_page', 'index_files', 'zoo_entries']
