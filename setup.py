"""Package metadata, and how `configs/` and `tools/` travel inside the package as `.mim`."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
PACKAGE = 'hrnet_mm'

# What export.py, TensorBoard beside the logs, and benchmark.py need more than everything else.
EXPORT = ['onnx', 'onnxruntime']
LOGS = ['tensorboard']
RIVALS = ['openvino', 'timm']

# What mim and `mmengine.get_config('hrnet_mm::…')` look for inside an installed package.
MIM_FILES = ('configs', 'tools', 'model-index.yml')


class BuildWithMim(build_py):
    """Add `hrnet_mm/.mim`: links into the checkout for `pip install -e`, copies otherwise."""

    def run(self) -> None:
        super().run()
        for source in filter(Path.exists, map(ROOT.joinpath, MIM_FILES)):
            if self.editable_mode:
                self._link(source, ROOT / PACKAGE / '.mim' / source.name)
            else:
                self._copy(source, Path(self.build_lib) / PACKAGE / '.mim' / source.name)

    @staticmethod
    def _link(source: Path, target: Path) -> None:
        target.parent.mkdir(exist_ok=True)
        if target.is_symlink():
            target.unlink()
        target.symlink_to(os.path.relpath(source, target.parent))

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns('__pycache__', '*.pyc', 'dev'))
        else:
            shutil.copy2(source, target)


def version() -> str:
    """Read the version from its file: importing the package would need torch."""
    text = (ROOT / PACKAGE / 'version.py').read_text(encoding='utf-8')
    match = re.search(r"^__version__ = '([^']+)'$", text, flags=re.MULTILINE)
    if match is None:
        raise RuntimeError(f"{PACKAGE}/version.py: expected a line __version__ = '…'")
    return match.group(1)


def readme() -> str:
    path = ROOT / 'README.md'
    return path.read_text(encoding='utf-8') if path.exists() else ''


def scratch_folder() -> str:
    """Where a build may leave its files: from `build/`, configs since deleted would ship again."""
    folder = tempfile.mkdtemp(prefix=f'{PACKAGE}-build-')
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


setup(
    name=PACKAGE,
    version=version(),
    description='One HRNet for all of OpenMMLab',
    long_description=readme(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    keywords='computer vision, HRNet, OpenMMLab, pose estimation, segmentation, detection',
    classifiers=[
        'Development Status :: 4 - Beta',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.11',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    package_data={PACKAGE: ['py.typed']},
    python_requires='>=3.10',
    # mmcv is needed too (mmcv-lite is enough for `hrnet_mm.models`), but is not named here, as
    # the OpenMMLab packages do not name it either: pip would build it without its operators, and
    # would do so even where mmcv-lite serves. `make setup` or `mim install mmcv` brings it.
    install_requires=['mmengine>=0.10.4', 'numpy', 'pillow', 'torch>=2.6', 'tqdm'],
    extras_require={
        'pose': ['mmpose>=1.3'],
        'seg': ['mmsegmentation>=1.2', 'ftfy', 'regex'],
        'det': ['mmdet>=3.3'],
        'cls': ['mmpretrain>=1.2'],
        'onnx': EXPORT,
        'tensorboard': LOGS,
        'benchmark': [*EXPORT, *RIVALS],
        'dev': [
            *EXPORT,
            *LOGS,
            *RIVALS,
            'hypothesis',
            'mypy',
            'onnxscript',
            'pre-commit',
            'pytest',
            'pytest-xdist',
            'ruff',
        ],
    },
    cmdclass={'build_py': BuildWithMim},
    options={'build': {'build_base': scratch_folder()}, 'egg_info': {'egg_base': scratch_folder()}},
    zip_safe=False,
)
