"""A folder in which the pages' commands run as they stand: configs by their names but small, drawn data.

What a command reads is there when it runs: its configs, its checkpoints (trained where no command before it
did so), its pictures.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from importlib import import_module
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

#: Files of the authors that the pages name -> which of theirs it is.
PUBLISHED = {
    'hrnetv2_w48_imagenet_pretrained.pth': ('official', 'classification'),
    'pose_hrnet_w32_256x192.pth': ('official', 'keypoints'),
}
_PRETRAINED = 'pretrained.pth'
_CONFIG = re.compile(r'configs/(\w+)\.py')
_CHECKPOINT = re.compile(r'work_dirs/(\w+)/\w+\.pth')


class Workplace:
    """The folder.

    Args:
        root: an empty folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._done: set[tuple[str, ...]] = set()
        layouts.write_data(root)
        (root / 'configs').mkdir()
        # in the place of ImageNet weights that configs download
        torch.save(HRNetBackbone(SMALL).state_dict(), root / _PRETRAINED)
        pictures = sorted((root / 'data' / 'coco' / 'val2017').glob('*.jpg'))
        (root / 'photos').mkdir()
        for picture in pictures:
            shutil.copy(picture, root / 'photos')
        shutil.copy(pictures[0], root / 'photo.jpg')
        for name, (publisher, task) in PUBLISHED.items():
            specimen(publisher, task).save(root / name)

    def enter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stand in the folder; CIFAR-10's drawn files pass for its own."""
        from mmpretrain.datasets import CIFAR10

        monkeypatch.chdir(self.root)
        monkeypatch.setenv('LOCAL_RANK', '0')  # the packages' scripts would leave it behind
        for name, value in layouts.cifar10_checksums(self.root / 'data' / 'cifar10').items():
            monkeypatch.setattr(CIFAR10, name, value)

    def run(self, words: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
        """Run a command in the folder, once what it reads is there; what two pages have is run once.

        Raises:
            AssertionError: it ended with an exit code other than 0.
        """
        if tuple(words) in self._done:
            return
        self._done.add(tuple(words))
        print('$', *words)
        for word in words:
            if config := _CONFIG.fullmatch(word):
                self.write_config(config[1])
            elif (checkpoint := _CHECKPOINT.search(word)) and not (self.root / checkpoint[0]).exists():
                self._train(checkpoint[1], checkpoint[0], monkeypatch)
        match list(words):
            case ['python', script, *rest]:
                code = in_process(script.removeprefix('tools/'), *rest, monkeypatch=monkeypatch)
            case ['mim', 'train', package, *rest]:
                code = in_process(_script(package, 'train.py'), *rest, monkeypatch=monkeypatch)
            case ['mim', 'test', package, config, '--checkpoint', checkpoint]:
                code = in_process(_script(package, 'test.py'), config, checkpoint, monkeypatch=monkeypatch)
            case _:
                raise AssertionError(f'no way to run {" ".join(words)}: fence its block as `bash no-run`')
        assert code in (0, None), f'exit code {code}: {" ".join(words)}'

    def write_config(self, stem: str) -> None:
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

    def _train(self, stem: str, checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Train a config where no command did so before; its last checkpoint goes by the page's name."""
        last = self.root / 'work_dirs' / stem / 'last_checkpoint'
        if not last.is_file():
            self.run(['python', 'tools/train.py', f'configs/{stem}.py'], monkeypatch)
        shutil.copy(last.read_text(), self.root / checkpoint)


def _script(package: str, name: str) -> str:
    """A script that a package was installed with; mim starts the same one."""
    (folder,) = import_module(package).__path__
    return str(Path(folder) / '.mim' / 'tools' / name)
