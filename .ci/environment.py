"""What setup.sh asks of a Python environment: `python environment.py QUESTION [ARGUMENT]`."""

from __future__ import annotations

import importlib
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LOCK = Path(__file__).resolve().parents[1] / 'requirements.txt'
#: Imported to prove the set-up.
PROVEN = ('torchvision', 'mmcv.ops', 'mmdet.apis', 'mmpose.apis', 'mmpretrain.apis', 'mmseg.apis')
PROVEN += ('mim', 'timm', 'cv2', 'pycocotools.coco', 'xtcocotools.coco', 'hrnet_mm')


def problem() -> str:
    """What is wrong with this interpreter, or nothing."""
    if sys.version_info[:2] not in ((3, 11), (3, 12)):
        return 'is Python {}.{}'.format(*sys.version_info[:2])
    if not Path(sysconfig.get_path('include'), 'Python.h').exists():
        return 'comes without its C headers (Debian: apt install python3-dev)'
    return ''


def pins() -> dict[str, str]:
    """Distribution -> pinned version."""
    return dict(line.split('==') for line in LOCK.read_text().splitlines() if line and line[0] != '#')


def differences() -> list[str]:
    """Pinned packages that are missing or installed at another version (`+cpu` and such left out)."""
    found: dict[str, str] = {}
    for name in pins():
        try:
            found[name] = version(name).split('+')[0]
        except PackageNotFoundError:
            found[name] = 'missing'
    return [f'{name} {found[name]}, not {pin}' for name, pin in pins().items() if found[name] != pin]


def prove() -> str:
    """Import everything; the main versions."""
    if differences():
        sys.exit(f'not as pinned: {"; ".join(differences())}')
    for module in PROVEN:
        try:
            importlib.import_module(module)
        except Exception as error:
            sys.exit(f'{module} does not import: {error!r}')
    main = ('torch', 'mmengine', 'mmcv', 'mmdet', 'mmpose', 'mmpretrain', 'mmsegmentation', 'hrnet_mm')
    return '      ' + ', '.join(f'{name} {version(name)}' for name in main)


def operators(kind: str) -> str:
    """Exit with an error unless mmcv has operators of this kind, `cpu` or `cuda`."""
    from mmcv.ops import get_compiling_cuda_version

    if kind == 'cuda' and get_compiling_cuda_version() == 'not available':
        sys.exit('mmcv has no CUDA operators')
    return ''


def wheel_links() -> str:
    """Where OpenMMLab keeps wheels of mmcv for this torch."""
    from mim.commands.install import DEFAULT_MMCV_BASE_URL, get_mmcv_full_find_link

    return str(get_mmcv_full_find_link(DEFAULT_MMCV_BASE_URL))


def cpp20() -> None:
    """Exit with 1 unless torch's headers need C++20."""
    import torch

    sys.exit('C++20 or later' not in Path(torch.__path__[0], 'include/ATen/ATen.h').read_text())


def architectures() -> str:
    """Of this machine's GPUs, or all from Ampere on by code that the driver compiles."""
    import torch

    found = {torch.cuda.get_device_capability(index) for index in range(torch.cuda.device_count())}
    return ';'.join('{}.{}'.format(*each) for each in sorted(found)) or '8.0+PTX'


def cuda_home() -> str:
    """The compiler that came as wheels, laid out as compilers expect it."""
    home = Path(sysconfig.get_path('purelib'), 'nvidia', 'cu13')
    libraries = {
        f'lib/{path.name.split(".so")[0]}.so': path.name for path in (home / 'lib').glob('lib*.so.*')
    }
    for link, target in {'lib64': 'lib', **libraries}.items():
        if not (home / link).exists():
            (home / link).symlink_to(target)
    return str(home)


if __name__ == '__main__':
    print(globals()[sys.argv[1]](*sys.argv[2:]))
