"""One record is all that a codebase needs: the example of docs/fifth_codebase.md, as it stands there."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mmengine.registry import MODELS
from refusal import refuses

from hrnet_mm.checkpoints.reading import load_file
from hrnet_mm.config import codebases
from hrnet_mm.config.codebases import CODEBASES, import_models
from hrnet_mm.config.load import load_config
from hrnet_mm.models import SCOPE_DEFAULTS
from hrnet_mm.training.run import run_train

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / 'docs' / 'fifth_codebase.md'
#: A data set of the toy package, which the page leaves to the reader.
DATA = """
import torch
from mmengine.registry import DATASETS
from torch.utils.data import Dataset

@DATASETS.register_module(force=True)
class Noise(Dataset):
    def __init__(self, size):
        self.size = size

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return {'inputs': torch.rand(3, *self.size)}
"""


@pytest.fixture
def toy(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The page's files; gives the config. Nothing of the fifth codebase is left afterwards."""
    for block in re.findall(r'```python\n(.*?)```', PAGE.read_text(encoding='utf-8'), re.DOTALL):
        path = own_folder / re.match(r'# (\S+)\n', block)[1]
        path.parent.mkdir(exist_ok=True)
        path.write_text(block)
    (own_folder / 'toyvision' / '__init__.py').touch()
    (own_folder / 'toyvision' / 'data.py').write_text(DATA)
    monkeypatch.syspath_prepend(own_folder)
    tables = CODEBASES, SCOPE_DEFAULTS, sys.modules, MODELS.children
    before = [set(table) for table in tables]
    yield own_folder / 'toy.py'
    for table, names in zip(tables, before, strict=True):
        for name in [name for name in table if name not in names and name.startswith('toyvision')]:
            del table[name]


def test_a_fifth_codebase_is_one_record(toy: Path) -> None:
    cfg = load_config(toy)
    codebase = CODEBASES['toyvision']
    assert codebase.function('shape')(cfg) == (64, 96)
    assert cfg.train_dataloader.collate_fn.type == 'pseudo_collate'
    last = run_train(cfg)
    weights = load_file(last)['state_dict']
    assert weights['head.weight'].shape == (1, 16)
    assert not any('fuse_layers.1' in name for name in weights if '.stage4.' in name)  # its own default
    refuses(lambda: codebase.function('swap'), "default_scope = 'toyvision'", "a function for 'swap'")


def test_its_mistakes_are_refused_like_all_others(toy: Path) -> None:
    cfg = load_config(toy, options={'model.backbone.arch': 'w99'})
    refuses(lambda: run_train(cfg), "model = 'Counter'", "arch='w99': expected one of w18_small_v1")


@pytest.mark.parametrize('codebase', CODEBASES.values(), ids=lambda codebase: codebase.scope)
def test_every_function_of_a_record_is_there(codebase) -> None:  # type: ignore[no-untyped-def]
    assert all(callable(codebase.function(job)) for job in codebase.functions)
    extras = (ROOT / 'setup.py').read_text(encoding='utf-8')
    assert f"'{codebase.extra}'" in extras and codebase.distribution in extras


def test_transformers_5_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its ``PreTrainedModel`` is missing where mmpretrain 1.2 looks, which inherits from None."""

    def broken(name: str) -> None:
        raise TypeError('NoneType takes no arguments')

    monkeypatch.setattr(codebases, 'import_module', broken)
    refuses(lambda: import_models('mmseg'), "default_scope = 'mmseg'", "pip install 'transformers<5'")
    monkeypatch.setattr(codebases, 'import_module', lambda name: int(None))  # type: ignore[call-overload]
    with pytest.raises(TypeError, match='int'):
        import_models('mmseg')
