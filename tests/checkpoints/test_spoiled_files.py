"""Spoiled files of every format: each is loaded whole or not at all, and none is executed."""

from __future__ import annotations

import logging
import resource
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from children import in_child
from peers import build_ours, scramble
from spoiled import spoiled_files

from hrnet_mm.checkpoints import CheckpointError, load_weights, read_checkpoint

SECONDS = 600  # only against a hang
MEMORY = 2**30  # bytes of address space more than the process has
GROWTH = 2**27  # bytes resident more than before

Weights = dict[str, torch.Tensor]


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """The same numbers; a spoiled file may have NaN among them."""
    return one.shape == other.shape and torch.equal(one.nan_to_num(), other.to(one.dtype).nan_to_num())


def attempt(model: torch.nn.Module, path: Path, before: Weights) -> str:
    """``'loaded'``, ``'refused'``, or what went wrong."""
    try:
        report = load_weights(model, path)
    except CheckpointError as error:
        if not str(error).startswith(f'checkpoint {path}: ') or len(str(error).splitlines()) != 1:
            return f'refused, and said {error}'[:200]
        untouched = all(same(value, before[name]) for name, value in model.state_dict().items())
        return 'refused' if untouched else f'refused, and half loaded: {error}'[:200]
    except Exception as error:
        return f'{type(error).__name__}: {error}'[:200]
    state, after = read_checkpoint(path).state, model.state_dict()
    counted = {name for name in after if not name.endswith('num_batches_tracked')}
    whole = counted <= set(report.loaded) and all(same(after[name], state[name]) for name in report.loaded)
    return 'loaded' if whole else f'half loaded: {report}'[:200]


def resident() -> int:
    """Most bytes that this process ever had in memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def try_all(folder: Path) -> dict[str, Any]:
    """In a child: what became of each file, and what it took."""
    warnings.simplefilter('ignore')
    logging.disable()
    model = scramble(build_ours('mmpretrain'), seed=1)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = dict(scramble(build_ours('mmpretrain')).state_dict())
    path = folder / 'a.pth'
    outcomes: dict[str, str] = {}
    start = 0
    for what, data in spoiled_files(state, folder / 'executed'):
        print(what, flush=True)  # for when it dies of this one
        path.write_bytes(data)
        if not outcomes:
            attempt(model, path, before)  # what is imported or compiled at first use is no growth
            start = resident()
        outcomes[what] = attempt(model, path, before)
        model.load_state_dict(before)
    return {'outcomes': outcomes, 'growth': resident() - start}


@pytest.mark.nightly
@pytest.mark.skipif(not Path('/proc/self/statm').exists(), reason='limits memory as Linux does')
def test_a_spoiled_file_is_loaded_whole_or_refused(tmp_path: Path) -> None:
    mapped = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
    found = in_child(lambda: try_all(tmp_path), seconds=SECONDS, address_space=mapped + MEMORY)
    outcomes = found['outcomes']
    wrong = {what: outcome for what, outcome in outcomes.items() if outcome not in ('loaded', 'refused')}
    assert not wrong
    assert not (tmp_path / 'executed').exists()
    assert found['growth'] < GROWTH
    hostile = [what for what in outcomes if 'a call' in what or 'bomb' in what]
    assert len(hostile) == 5 and {outcomes[what] for what in hostile} == {'refused'}
    assert len(outcomes) == 49 and sum(outcome == 'refused' for outcome in outcomes.values()) > 40
