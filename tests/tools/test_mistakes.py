"""Every tool meets mistakes with one line that says what is wrong, and shows an example in its help."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from mmengine.registry import DefaultScope
from tool_runs import TOOLS, in_process

from hrnet_mm.config.load import load_config
from hrnet_mm.demo.dataset import generate

ROOT = TOOLS.parent
CONFIG = 'configs/hrnetv2_w18_small_v1_synthetic.py'

#: What goes wrong -> what is given: a path that leads nowhere, or a file that is something else.
WRONG = {
    'config': ('gone.py', 'broken.py', 'note.txt', 'empty.py'),
    'checkpoint': ('gone.pth', 'broken.pth', 'note.txt'),
    'image': ('gone.jpg', 'note.txt'),
    'coco': ('gone.json', 'broken.json', 'note.txt'),
    'data': ('gone', 'note.txt'),
    'folder': ('note.txt',),
    'logs': ('gone', 'data'),
}
#: What is right; a tool that is given nothing else works.
RIGHT = {'config': 'config.py', 'checkpoint': 'weights.pth', 'image': 'photo.jpg'}
#: Tool -> its arguments, for each of what it reads and writes.
ARGUMENTS = {
    'browse_data.py': ('{config}',),
    'check_data.py': ('{config}',),
    'coco_to_masks.py': ('{coco} masks',),
    'complexity.py': ('{config}', '{config} --train-memory'),
    'convert_checkpoint.py': ('{checkpoint} out.pth',),
    'demo.py': ('--out {folder}',),
    'export.py': ('{config} {checkpoint} out.pt2',),
    'infer.py': ('{config} {checkpoint} {image}',),
    'infer_all.py': ('{image} --segmentation {config} {checkpoint}',),
    'join_configs.py': ('{config} -o joint.py',),
    'make_config.py': ('{data}',),
    'make_synthetic.py': ('{folder}',),
    'plot_log.py': ('{logs}',),
    'show_features.py': ('{config} {checkpoint} {image}',),
    'swap_backbone.py': ('{config} --arch w18',),
    'test.py': ('{config} {checkpoint}',),
    'train.py': ('{config}', '{config} --resume {checkpoint}'),
}


def said_of(tool: str, wrong: str) -> str:
    """What the line names; an empty config is one that lacks the rest."""
    if wrong == 'empty.py':
        return 'model' if tool == 'swap_backbone.py' else 'default_scope'
    return wrong


#: A command for each way in which a path can be wrong, and what the line names.
CASES = [
    (f'{tool} {arguments.format(**RIGHT | {kind: wrong})}', said_of(tool, wrong))
    for tool, ways in ARGUMENTS.items()
    for arguments in ways
    for kind in re.findall(r'\{(\w+)\}', arguments)
    for wrong in WRONG[kind]
]
#: What fits neither the task nor the rest -> what the line says.
MISFITS = {
    'infer.py config.py weights.pth photo.jpg --detector config.py weights.pth': '--detector',
    'infer_all.py photo.jpg --pose config.py weights.pth': 'a config for pose',
    'infer_all.py photo.jpg': 'networks',
    'show_features.py mmpretrain::resnet/resnet18_8xb32_in1k.py photo.jpg': 'HRNet',
    'complexity.py': 'CONFIG',
    'complexity.py --table': '--table = True: expected python tools/dev/pages.py published_figures',
    'complexity.py config.py --compare pose': '--compare = True: expected python tools/dev/pages.py',
    'complexity.py config.py --shape 0 64': "--shape = '0 64': expected height and width, two whole numbers",
    'complexity.py config.py --shape 64': "--shape = '64': expected height and width",
    'complexity.py config.py --cfg-options a': "--cfg-options = 'a': expected KEY=VALUE",
    'complexity.py config.py --batch 2': '--batch = 2: expected --train-memory with it',
    'complexity.py config.py --amp': '--amp = True: expected --train-memory with it',
    'complexity.py config.py --train-memory --gib -1': '--gib = -1.0: expected more than 0',
    'swap_backbone.py config.py --arch w19': '--arch',
    'convert_checkpoint.py weights.pth out.pth --to nobody': '--to',
    'browse_data.py config.py --count 0': '--count',
    'check_data.py config.py --json m.txt': '--json',
    'join_configs.py config.py config.py': '-o',
    'make_config.py data --arch w19': '--arch',
    'make_synthetic.py drawn --train 0': 'train',
    'demo.py --iterations 0': "--iterations: '0'",
    'coco_to_masks.py people.json masks --categories unicorn': 'unicorn',
    'plot_log.py run --keys unicorn': 'unicorn',
    'train.py config.py --cfg-options train_cfg.max_iters=0': 'train_cfg.max_iters',
    'test.py config.py weights.pth --out m.txt': '--out',
    'export.py gone.py gone.pth out.txt': "OUT = 'out.txt': expected a file name ending in",
    'export.py gone.py gone.pth out.onnx --shape 64': "--shape = '64': expected height and",
    'show_features.py config.py photo.jpg --out a.jpg': "--out = 'a.jpg': expected a file name",
}
#: What needs a package that may be missing -> that package.
NEEDS = {
    'coco_to_masks.py people.json masks': 'pycocotools',
    'convert_checkpoint.py weights.pth out.safetensors': 'safetensors',
    'export.py config.py weights.pth out.onnx': 'onnxruntime',
    **{
        f'{tool} {ways[0].format(**RIGHT)}': 'mmseg'
        for tool, ways in ARGUMENTS.items()
        if ways and '{config}' in ways[0]
    },
}


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is right and what is wrong, side by side."""
    root = tmp_path_factory.mktemp('mistakes')
    generate(root / 'data', train=1, val=1, size=(96, 128), progress=False)
    data_root = root / 'data' / 'cityscapes'
    cfg = load_config(ROOT / CONFIG, data_root=data_root)
    cfg.dump(root / 'config.py')
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        from mmseg.registry import MODELS

        torch.save({'state_dict': MODELS.build(cfg.model).state_dict()}, root / 'weights.pth')
    (root / 'photo.jpg').write_bytes(next((root / 'data/coco/val2017').glob('*.jpg')).read_bytes())
    (root / 'people.json').symlink_to(root / 'data/coco/annotations/person_keypoints_val2017.json')
    (root / 'run/stamp/vis_data').mkdir(parents=True)
    (root / 'run/stamp/vis_data/scalars.json').write_text('{"loss": 1.0, "iter": 1, "step": 1}\n')
    (root / 'note.txt').write_text('no config, no weights, no picture')
    (root / 'broken.py').write_text('model = dict(')
    (root / 'broken.pth').write_bytes(b'no weights')
    (root / 'broken.json').write_text('[')
    (root / 'empty.py').write_text('')
    return root


@pytest.fixture(autouse=True)
def in_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(folder)
    with warnings.catch_warnings():
        yield


def test_every_tool_is_here() -> None:
    assert set(ARGUMENTS) == {path.name for path in TOOLS.glob('*.py')}
    assert {command.split()[0] for command in MISFITS} == set(ARGUMENTS)


@pytest.mark.parametrize('tool', ARGUMENTS)
def test_help_ends_in_an_example(
    tool: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process(tool, '--help', monkeypatch=monkeypatch) == 0
    text = ' '.join(capsys.readouterr().out.split())
    assert re.search(rf'examples?: python tools/{tool} [^.]', text)


@pytest.mark.parametrize(('command', 'named'), [*CASES, *MISFITS.items()])
def test_a_wrong_path_or_what_does_not_fit_is_one_line(
    command: str, named: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(Path.cwd().iterdir())
    assert in_process(*command.split(), monkeypatch=monkeypatch) == 2
    assert named in the_line(capsys)
    if command in MISFITS:
        assert sorted(Path.cwd().iterdir()) == before, 'something was written'


@pytest.mark.parametrize(('command', 'package'), NEEDS.items())
def test_a_missing_package_is_one_line(
    command: str, package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (package, *(name for name in sys.modules if name.startswith(f'{package}.'))):
        monkeypatch.setitem(sys.modules, name, None)
    assert in_process(*command.split(), monkeypatch=monkeypatch) == 2
    assert 'install' in (line := the_line(capsys)) and package in line


def the_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of the error, behind argparse's usage where that finds it."""
    errors = capsys.readouterr().err
    assert 'Traceback' not in errors
    (line,) = re.findall(r'^(?:(?:\w+\.py: )?error|refused): .*', errors, re.MULTILINE)
    assert errors.rstrip().endswith(line)
    return str(line)
