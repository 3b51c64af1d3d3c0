"""Every shipped config as a row of data, read off the config itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from mmengine.config import Config
from tqdm import tqdm

from hrnet_mm.analysis.complexity import Complexity, measure
from hrnet_mm.analysis.shapes import Shape, shape_of
from hrnet_mm.analysis.table import configs_folder
from hrnet_mm.config.load import load_config
from hrnet_mm.config.paths import iter_datasets, type_name

from .published import Accuracy, published_accuracy

#: Codebase -> what it is for, in the order of the page.
TASKS: Mapping[str, str] = MappingProxyType(
    {
        'mmpose': 'Pose estimation',
        'mmseg': 'Semantic segmentation',
        'mmdet': 'Object detection',
        'mmpretrain': 'Image classification',
    }
)
#: Type of a data set -> its name among people; types that say it themselves are left out.
_DATA_NAMES: Mapping[str, str] = MappingProxyType(
    {
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
)
#: Folder in a data set's root -> whose data it is, where the type does not tell.
_ROOT_NAMES: Mapping[str, str] = MappingProxyType({'own': 'your own', 'demo_output': 'drawn scenes'})


@dataclass(frozen=True)
class ZooEntry:
    """One shipped config.

    Attributes:
        config: file in ``configs/``.
        codebase: the package whose trainer runs it.
        data: what it is trained on.
        shape: height and width that the size was counted at.
        size: parameters and multiply-accumulates.
        checkpoint: the last file that training writes into the work folder.
        published: what the authors reached with this network on these data, if they said.
    """

    config: str
    codebase: str
    data: str
    shape: Shape
    size: Complexity
    checkpoint: str
    published: Accuracy | None

    @property
    def name(self) -> str:
        """The config's name without its suffix."""
        return self.config.removesuffix('.py')

    @property
    def train_command(self) -> str:
        """How to train it, from the root of the project."""
        return f'mim train {self.codebase} configs/{self.config}'

    @property
    def test_command(self) -> str:
        """How to test what was trained."""
        checkpoint = f'work_dirs/{self.name}/{self.checkpoint}'
        return f'mim test {self.codebase} configs/{self.config} --checkpoint {checkpoint}'


def zoo_configs() -> list[Path]:
    """All configs that can be trained, in the order of their names."""
    return sorted(configs_folder().glob('*.py'))


def zoo_entries(paths: Iterable[Path] | None = None, *, progress: bool = False) -> list[ZooEntry]:
    """The rows of some configs (default: all), by codebase; equal models are measured once."""
    known: dict[str, Complexity] = {}
    chosen = list(zoo_configs() if paths is None else paths)
    entries = [_entry(path, known) for path in tqdm(chosen, unit='config', disable=not progress)]
    return sorted(entries, key=lambda entry: list(TASKS).index(entry.codebase))


def _entry(path: Path, known: dict[str, Complexity]) -> ZooEntry:
    cfg = load_config(path)
    shape = shape_of(cfg)
    key = repr((cfg.default_scope, shape, _without_weights(cfg.model)))
    if key not in known:
        known[key] = measure(cfg, shape)
    return ZooEntry(
        config=path.name,
        codebase=cfg.default_scope,
        data=_data_name(cfg),
        shape=shape,
        size=known[key],
        checkpoint=_last_checkpoint(cfg),
        published=published_accuracy(path.name),
    )


def _without_weights(node: object) -> object:
    """A model's dict but for where its weights come from, which costs nothing."""
    if isinstance(node, Mapping):
        return {key: _without_weights(value) for key, value in node.items() if key != 'init_cfg'}
    if isinstance(node, (list, tuple)):
        return [_without_weights(value) for value in node]
    return node


def _data_name(cfg: Config) -> str:
    return ', '.join(dict.fromkeys(_names(cfg)))


def _names(cfg: Config) -> Iterator[str]:
    for _, dataset in iter_datasets(cfg, stages=('train',)):
        kind = type_name(dataset['type'])
        folders = Path(dataset.get('data_root') or '').parts
        yield next((_ROOT_NAMES[f] for f in folders if f in _ROOT_NAMES), _DATA_NAMES.get(kind, kind))


def _last_checkpoint(cfg: Config) -> str:
    if cfg.train_cfg.get('max_epochs'):
        return f'epoch_{cfg.train_cfg.max_epochs}.pth'
    return f'iter_{cfg.train_cfg.max_iters}.pth'
