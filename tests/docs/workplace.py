"""A folder in which commands run as the pages have them: configs by their names but small, drawn data.

What a command reads is there when it is run: its configs, its checkpoints (trained if no command before it
did), its pictures.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from own_configs import read_config
from pages import ROOT
from published_files import specimen
from tool_runs import in_process

sys.path.insert(0, str(ROOT / 'tests' / 'dev' / 'zoo'))

import layouts
from shrink import SMALL, shrink

from hrnet_mm import HRNetBackbone

#: Stands for what the config before it was trained to.
CHECKPOINT = 'CHECKPOINT'
#: Options whose value is a file or folder that the command writes.
WRITTEN = ('--out', '--out-dir', '--show-dir', '--json', '--png', '-o')
#: Files of the authors that the pages name -> which of theirs it is.
PUBLISHED = {
    'hrnetv2_w48_imagenet_pretrained.pth': ('official', 'classification'),
    'pose_hrnet_w32_256x192.pth': ('official', 'keypoints'),
}
_PRETRAINED = 'pretrained.pth'
_CONFIG = re.compile(r'configs/(\w+)\.py')
_WORK_DIR = re.compile(r'work_dirs/(\w+)(?:/\w+\.pth)?')


class Workplace:
    """The folder.

    Args:
        root: an empty folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        layouts.write_data(root)
        (root / 'configs').mkdir()
        # in the place of ImageNet weights that configs download
        torch.save(HRNetBackbone(SMALL).state_dict(), root / _PRETRAINED)
        pictures = sorted((root / 'data' / 'coco' / 'val2017').glob('*.jpg'))
        (root / 'photos').mkdir()
        for picture in pictures:
            shutil.copy(picture, root / 'photos')
        shutil.copy(pictures[0], root / 'photo.jpg')
        for name, whose in PUBLISHED.items():
            specimen(*whose).save(root / name)

    def enter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stand in the folder; CIFAR-10's drawn files pass for its own."""
        from mmpretrain.datasets import CIFAR10

        monkeypatch.chdir(self.root)
        monkeypatch.setenv('LOCAL_RANK', '0')  # the packages' scripts would leave it behind
        for name, value in layouts.cifar10_checksums(self.root / 'data' / 'cifar10').items():
            monkeypatch.setattr(CIFAR10, name, value)

    def run(self, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Run a command line in the folder.

        Raises:
            AssertionError: it ended with an exit code other than 0, or left something unwritten.
        """
        words = self._ready(line.split(), monkeypatch)
        print('$', *words)
        code = _run(words, monkeypatch)
        assert code in (0, None), f'exit code {code}: {" ".join(words)}'
        for option, value in pairwise(words):
            assert option not in WRITTEN or (self.root / value).exists(), f'{value} is not there: {line}'

    def _ready(self, words: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The words, with what they read made ready."""
        ready: list[str] = []
        config = ''
        training = 'train' in ' '.join(words[:2])
        for word in words:
            if found := _CONFIG.fullmatch(word):
                config = found[1]
                self._require_config(config)
            elif word == CHECKPOINT:
                word = str(self._trained(config, monkeypatch))
            elif not training and (found := _WORK_DIR.fullmatch(word)):
                self._trained(found[1], monkeypatch)
            ready.append(word)
        return ready

    def _require_config(self, stem: str) -> None:
        """Write the config of this name, small, with its weights from a file."""
        target = self.root / 'configs' / f'{stem}.py'
        if target.exists():
            return
        cfg = read_config(ROOT / 'configs' / target.name)
        small = shrink(cfg)
        weights = cfg.model.backbone.get('init_cfg')
        small.model.backbone.init_cfg = weights
        if isinstance(weights, dict) and 'checkpoint' in weights:
            small.model.backbone.init_cfg = {**weights, 'checkpoint': _PRETRAINED}
        small.pop('work_dir', None)
        small.dump(target)

    def _trained(self, stem: str, monkeypatch: pytest.MonkeyPatch) -> Path:
        """The last checkpoint of a config, which is trained where no command did it before."""
        last = self.root / 'work_dirs' / stem / 'last_checkpoint'
        if not last.is_file():
            self.run(f'python tools/train.py configs/{stem}.py', monkeypatch)
        return Path(last.read_text()).relative_to(self.root)


def _run(words: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> object:
    """Run a tool of ours, or in the place of mim the script that mim starts, in this process."""
    match list(words):
        case ['python', script, *arguments]:
            return in_process(script.removeprefix('tools/'), *arguments, monkeypatch=monkeypatch)
        case ['mim', 'train', package, config, *arguments]:
            arguments = [config, '--launcher', 'none', *arguments]
            return in_process(_script(package, 'train.py'), *arguments, monkeypatch=monkeypatch)
        case ['mim', 'test', package, config, '--checkpoint', checkpoint, *arguments]:
            arguments = [config, checkpoint, '--launcher', 'none', *arguments]
            return in_process(_script(package, 'test.py'), *arguments, monkeypatch=monkeypatch)
        case ['make', 'help']:
            return subprocess.run(words, cwd=ROOT, check=False).returncode
    raise AssertionError(f'no way to run {" ".join(words)}')


def _script(package: str, name: str) -> str:
    """A script that a package was installed with; mim looks for it in the same place."""
    (folder,) = import_module(package).__path__
    return str(Path(folder) / '.mim' / 'tools' / name)
