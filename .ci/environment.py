"""What the set-up asks of a Python environment; runs on the standard library alone.

python environment.py differences requirements.txt   installed packages at other versions
python environment.py rivals requirements.txt        installed packages of another stack
python environment.py alias requirements.txt         let the forks be found by the names they took over
python environment.py prove requirements.txt         import everything, print the versions
"""

from __future__ import annotations

import importlib
import sys
import sysconfig
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

# Distribution -> its maintained fork, which has the same modules. A lock pins one of the two.
FORKS = {
    'mmcv': 'onedl-mmcv',
    'mmengine': 'onedl-mmengine',
    'mmdet': 'onedl-mmdetection',
    'mmpretrain': 'onedl-mmpretrain',
    'mmsegmentation': 'onedl-mmsegmentation',
    'openmim': 'onedl-mim',
}

# Forks that are asked for under the old name: onedl-mmengine 0.10.12 reads `_base_ = 'mmseg::...'`
# only where a distribution is called mmsegmentation, which its own fork of that no longer is.
ALIASES = {'mmsegmentation': 'mmseg'}
ALIASED_BY = 'hrnet_mm set-up'

# Module to import -> distribution, or its fork, whose version to show.
PROVEN = {
    'torch': 'torch',
    'torchvision': 'torchvision',
    'mmengine': 'mmengine',
    'mmcv.ops': 'mmcv',
    'mmdet.apis': 'mmdet',
    'mmpose.apis': 'mmpose',
    'mmpretrain.apis': 'mmpretrain',
    'mmseg.apis': 'mmsegmentation',
    'mim': 'openmim',
    'timm': 'timm',
    'cv2': 'opencv-python-headless',
    'pycocotools.coco': 'pycocotools',
    'xtcocotools.coco': 'xtcocotools',
    'hrnet_mm': 'hrnet_mm',
}


def pins(lock: Path) -> dict[str, str]:
    """Read `name==version` lines."""
    lines = (line.strip() for line in lock.read_text(encoding='utf-8').splitlines())
    return dict(line.split('==') for line in lines if line and not line.startswith('#'))


def installed(name: str) -> str | None:
    """The installed version without a local part such as +cpu, or None."""
    try:
        return version(name).split('+')[0]
    except PackageNotFoundError:
        return None


def differences(lock: Path) -> list[str]:
    """Pinned packages that are installed at another version."""
    return [
        f'{name} {found}, not {pin}'
        for name, pin in pins(lock).items()
        if (found := installed(name)) not in (None, pin)
    ]


def rivals(lock: Path) -> list[str]:
    """Installed packages that would share their modules with a pinned one."""
    pinned = pins(lock)
    pairs = [*FORKS.items(), *((fork, name) for name, fork in FORKS.items())]
    return [
        f'{rival} {found}, not {name}'
        for name, rival in pairs
        if name in pinned and (found := installed(rival)) is not None and not is_alias(rival)
    ]


def is_alias(name: str) -> bool:
    """Whether a distribution is nothing but a name given by ``alias``."""
    return (distribution(name).read_text('INSTALLER') or '').strip() == ALIASED_BY


def alias(lock: Path) -> list[str]:
    """Give a fork the old name too: metadata that points to its module.

    Returns:
        The names given.
    """
    given = [name for name in ALIASES if FORKS[name] in pins(lock) and installed(name) is None]
    for name in given:
        pin = pins(lock)[FORKS[name]]
        folder = Path(sysconfig.get_path('purelib'), f'{name}-{pin}.dist-info')
        folder.mkdir()
        (folder / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name}\nVersion: {pin}\n')
        (folder / 'top_level.txt').write_text(f'{ALIASES[name]}\n')
        (folder / 'INSTALLER').write_text(f'{ALIASED_BY}\n')
        (folder / 'RECORD').write_text('')
    return given


def distribution_of(module: str, lock: Path) -> str:
    """The distribution that brings a module of ``PROVEN`` in the stack of a lock."""
    name = PROVEN[module]
    fork = FORKS.get(name, name)
    return fork if fork in pins(lock) else name


def prove(lock: Path) -> None:
    """Import everything and print a table of versions, or exit with one line."""
    missing = [name for name in pins(lock) if installed(name) is None]
    if missing or differences(lock):
        sys.exit(f'not as pinned: {", ".join(missing + differences(lock))}')
    for module in PROVEN:
        try:
            importlib.import_module(module)
        except Exception as error:  # whatever it is, it goes into the one line
            sys.exit(f'{module} does not import: {error!r}')
        print(f'      {module:<18}{version(distribution_of(module, lock))}', flush=True)


LISTS: dict[str, Callable[[Path], list[str]]] = {
    'differences': differences,
    'rivals': rivals,
    'alias': alias,
}


def main(question: str, lock: str) -> None:
    if question == 'prove':
        prove(Path(lock))
    else:
        print('\n'.join(LISTS[question](Path(lock))))


if __name__ == '__main__':
    main(*sys.argv[1:])
