"""Where a user wants something written: told to be wrong before there is anything to write."""

from __future__ import annotations

from pathlib import Path

from .errors import ConfigError


def require_file(path: str | Path, *, key: str, ending: str) -> Path:
    """The path of a file that can be written; its folder is made where it is missing.

    Args:
        path: as given by the user.
        key: what a message calls it, as in ``--out``.
        ending: of the name, as in ``.json``.

    Raises:
        ConfigError: if the name ends otherwise or its folder cannot be made.
    """
    target = Path(path)
    if target.suffix != ending or target.is_dir():
        raise ConfigError(key=key, value=str(path), expected=f'a file name ending in {ending}')
    return require_folder(target.parent, key=key) / target.name


def require_folder(path: str | Path, *, key: str) -> Path:
    """A folder to write to, made where it is missing.

    Raises:
        ConfigError: if it cannot be made.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            key=key, value=str(path), expected=f'a folder that can be made ({error.strerror})'
        ) from error
    return folder
