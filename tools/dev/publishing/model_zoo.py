"""``docs/model_zoo.md`` and what ``mim search hrnet_mm`` reads: every shipped config, read off the config."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from mmengine.config import Config
from tqdm import tqdm

from hrnet_mm.analysis import GIGA, Complexity, measure, shape_of
from hrnet_mm.config.codebases import CODEBASES
from hrnet_mm.config.load import load_config
from hrnet_mm.config.paths import iter_datasets, type_name
from hrnet_mm.utils import markdown_table

from .figures import PACKAGE_SCORES, ROOT, SCORES, SIZES, SOURCES, scores_as_text
from .weights import published_weights

#: Type of a data set -> its name among people; types that say it themselves are left out.
_DATA_NAMES: Final[Mapping[str, str]] = {
    'ADE20KDataset': 'ADE20K',
    'CIFAR10': 'CIFAR-10',
    'COCOStuffDataset': 'COCO-Stuff',
    'CityscapesDataset': 'Cityscapes',
    'CocoDataset': 'COCO',
    'CustomDataset': 'a folder of images',
    'ImageNet': 'ImageNet-1k',
    'LIPDataset': 'LIP',
    'MpiiDataset': 'MPII',
    'PascalContextDataset': 'PASCAL-Context, 60 classes',
    'PascalContextDataset59': 'PASCAL-Context, 59 classes',
}
#: Folder in a data set's root -> whose data it is, where the type does not tell.
_ROOT_NAMES: Final[Mapping[str, str]] = {'own': 'your own', 'demo_output': 'drawn scenes'}
_MADE_BY = 'python tools/dev/pages.py model_zoo'
_INTRODUCTION = f"""\
# Model zoo

Made by `{_MADE_BY}` from the configs. Parameters and multiply-accumulates
(MACs, of convolutions, linear layers and matrix products, for one image of the size named) are counted
on the meta device. Detectors with a box head are counted with the RoIs that their RPN hands on.

**Accuracies are others', as published, the authors' where they gave any; none was measured here**,
and no trained weights are shipped. Run the commands from the root of the project, with the data where
the mm packages document them; testing needs the checkpoint that training leaves, or any published one
([checkpoints](checkpoints.md)).

The last column names weights that a package publishes and that fit: of those of such a model on such data
(in pose and classification also on images of this size) the best, with the accuracy that **its publisher
states; it was not measured here**. The files were not at hand: names and shapes were compared. By that name
`python tools/infer.py NAME IMAGES` fetches and runs them.
"""
_NOT_RUN = '<!-- not run: one config of each kind trains and is tested in tests/dev/zoo -->'
_HEADINGS = (
    'config',
    'data',
    'input',
    'params (M)',
    'MACs (G = 2^30)',
    'published accuracy',
    'published weights that fit, accuracy as stated',
)
_COLLECTION: Final[dict[str, Any]] = {
    'Name': 'HRNet',
    'Metadata': {'Architecture': ['HRNet']},
    'Paper': {
        'URL': 'https://arxiv.org/abs/1908.07919',
        'Title': 'Deep High-Resolution Representation Learning for Visual Recognition',
    },
    'README': 'docs/model_zoo.md',
}


@dataclass(frozen=True)
class ZooEntry:
    """One shipped config.

    Attributes:
        config: File in ``configs/``.
        codebase: The package whose trainer runs it.
        data: What it is trained on.
        shape: Height and width that the size was counted at.
        size: Parameters and multiply-accumulates.
        checkpoint: The last file that training writes into the work folder.
    """

    config: str
    codebase: str
    data: str
    shape: tuple[int, int]
    size: Complexity
    checkpoint: str

    @property
    def name(self) -> str:
        """The config's name without its suffix."""
        return self.config.removesuffix('.py')

    @property
    def commands(self) -> tuple[str, str]:
        """How to train it, and how to test what was trained, from the root of the project."""
        checkpoint = f'work_dirs/{self.name}/{self.checkpoint}'
        return (
            f'mim train {self.codebase} configs/{self.config}',
            f'mim test {self.codebase} configs/{self.config} --checkpoint {checkpoint}',
        )

    def cells(self) -> list[str]:
        """The cells of its row that say what it is and how large."""
        link, shape = f'[{self.name}](../configs/{self.config})', 'x'.join(map(str, self.shape))
        return [link, self.data, shape, f'{self.size.params / 1e6:.1f}', f'{self.size.macs / GIGA:.2f}']


def zoo_entries(paths: Iterable[Path] | None = None, *, progress: bool = False) -> list[ZooEntry]:
    """The rows of some configs (default: all), by codebase; equal models are measured once."""
    known: dict[str, Complexity] = {}
    single = (path for path in (ROOT / 'configs').glob('*.py') if '_joint_' not in path.stem)
    chosen = sorted(single) if paths is None else list(paths)
    entries = [_entry(path, known) for path in tqdm(chosen, 'model zoo', unit='config', disable=not progress)]
    return sorted(entries, key=lambda entry: list(CODEBASES).index(entry.codebase))


def _entry(path: Path, known: dict[str, Complexity]) -> ZooEntry:
    cfg = load_config(path)
    shape = shape_of(cfg)
    cfg.model.backbone.init_cfg = None  # where weights come from costs nothing
    key = repr((cfg.default_scope, shape, cfg.model))
    if key not in known:
        known[key] = measure(cfg, shape)
    train = cfg.train_cfg
    last = f'epoch_{train.max_epochs}' if train.get('max_epochs') else f'iter_{train.max_iters}'
    data = ', '.join(dict.fromkeys(_data_names(cfg)))
    return ZooEntry(path.name, cfg.default_scope, data, shape, known[key], f'{last}.pth')


def _data_names(cfg: Config) -> Iterator[str]:
    for _, dataset in iter_datasets(cfg, stages=('train',)):
        kind, folders = type_name(dataset['type']), Path(dataset.get('data_root') or '').parts
        yield next((_ROOT_NAMES[f] for f in folders if f in _ROOT_NAMES), _DATA_NAMES.get(kind, kind))


def published_accuracy(config: str) -> tuple[str, str] | None:
    """A config's network's accuracy and its source: the authors', else its own package's, else ``None``."""
    for row in (*SIZES, *SCORES):
        if row.config == config and row.scores:
            setting = f' ({row.setting})' if row.setting else ''
            return scores_as_text(row.scores) + setting, SOURCES[row.task]
    for other in PACKAGE_SCORES:
        if other.config == config:
            source = f"not the authors' but {other.package}'s, of its own copy: its metafiles"
            return scores_as_text(other.scores), source
    return None


def model_zoo_page(entries: Sequence[ZooEntry]) -> str:
    """The page: a section for each codebase."""
    sections = [_section(name, [e for e in entries if e.codebase == name]) for name in CODEBASES]
    return '\n'.join([_INTRODUCTION, *sections])


def _section(codebase: str, entries: Sequence[ZooEntry]) -> str:
    """A table with numbered sources, and all commands."""
    sources: dict[str, int] = {}
    rows = []
    for entry in entries:
        found, cell = published_accuracy(entry.config), ''
        if found:
            cell = f'{found[0]} [{sources.setdefault(found[1], len(sources) + 1)}]'
        weights = published_weights(load_config(ROOT / 'configs' / entry.config))
        rows.append([*entry.cells(), cell, str(weights or '')])
    lines = [f'## {CODEBASES[codebase].title}', '', markdown_table(_HEADINGS, rows), '']
    lines += [f'[{number}] {source}.<br>' for source, number in sources.items()] + [''] * bool(sources)
    lines += ['<details><summary>Commands</summary>', '', _NOT_RUN, '```bash no-run']
    lines += [command for entry in entries for command in entry.commands]
    return '\n'.join([*lines, '```', '', '</details>', ''])


def index_files(entries: Sequence[ZooEntry]) -> dict[str, str]:
    """Path from the root of the project -> text: the index for mim, and one metafile for each codebase."""
    metafiles = {
        f'configs/metafile_{name}.yml': {
            'Collections': [_COLLECTION],
            'Models': [_model(entry) for entry in entries if entry.codebase == name],
        }
        for name in CODEBASES
    }
    files = {'model-index.yml': {'Import': list(metafiles)}, **metafiles}
    header = f'# Made by {_MADE_BY} from the configs themselves.\n'
    how: dict[str, Any] = {'sort_keys': False, 'allow_unicode': True, 'width': 110}
    return {path: header + yaml.safe_dump(content, **how) for path, content in files.items()}


def _model(entry: ZooEntry) -> dict[str, Any]:
    """One model; without weights and metrics, because none of ours was trained and measured."""
    return {
        'Name': entry.name,
        'In Collection': _COLLECTION['Name'],
        'Config': f'configs/{entry.config}',
        'Metadata': {
            'Training Data': entry.data,
            'Parameters': entry.size.params,
            'MACs': entry.size.macs,
            'Input Size': 'x'.join(map(str, entry.shape)),
        },
        'Results': [{'Task': CODEBASES[entry.codebase].title, 'Dataset': entry.data}],
    }
