"""What the set-up asks of a Python environment; runs on the standard library alone.

python environment.py differences requirements.txt   installed packages at other versions
python environment.py prove requirements.txt         import everything, print the versions
"""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# Module to import -> distribution whose version to show.
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


def prove(lock: Path) -> None:
    """Import everything and print a table of versions, or exit with one line."""
    missing = [name for name in pins(lock) if installed(name) is None]
    if missing or differences(lock):
        sys.exit(f'not as pinned: {", ".join(missing + differences(lock))}')
    for module, distribution in PROVEN.items():
        try:
            importlib.import_module(module)
        except Exception as error:  # whatever it is, it goes into the one line
            sys.exit(f'{module} does not import: {error!r}')
        print(f'      {module:<18}{version(distribution)}', flush=True)


def main(question: str, lock: str) -> None:
    if question == 'prove':
        prove(Path(lock))
    else:
        print('\n'.join(differences(Path(lock))))


if __name__ == '__main__':
    main(*sys.argv[1:])
