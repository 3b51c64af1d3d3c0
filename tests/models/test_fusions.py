"""``fusions``: mmpose's HRNet with the fusions taken out by hand is the truth."""

from __future__ import annotations

import pytest
import torch
from peers import assert_close, build_ours, build_peer, gradients, images, scramble, stage, tiny
from torch import nn

from hrnet_mm import HRNetBackbone

#: Three modules in stages 3 and 4, so that first, middle and last can differ.
EXTRA = tiny() | dict(
    stage3=stage(3, 'BASIC', (1,) * 3, (4, 8, 16)), stage4=stage(3, 'BASIC', (1,) * 4, (4, 8, 16, 32))
)
MODULES = (1, 3, 3)


def without_fusions(peer: nn.Module, fusions: tuple[int, int, int]) -> nn.Module:
    """Cut the peer's fusions but for the last ones of each stage."""
    for number, count in zip((2, 3, 4), fusions, strict=True):
        modules = list(getattr(peer, f'stage{number}'))
        for module in modules[: len(modules) - count]:
            module.forward = lambda streams, module=module: [
                branch(x) for branch, x in zip(module.branches, streams, strict=True)
            ]
    return peer


@pytest.mark.parametrize('fusions', [MODULES, (1, 1, 1), (0, 0, 1), (0, 2, 3), (0, 0, 0)])
def test_fewer_fusions_equal_the_peer_without_them(fusions) -> None:
    extra = EXTRA | dict(stage4=EXTRA['stage4'] | dict(multiscale_output=True))
    peer = without_fusions(scramble(build_peer('mmpose', extra=extra)).double(), fusions)
    ours = build_ours('mmpose', extra=extra, fusions=fusions).double()
    missing, unexpected = ours.load_state_dict(peer.state_dict(), strict=False)
    assert not missing
    assert len([key for key in unexpected if 'fuse_layers' not in key]) == 0
    peer.train(), ours.train()
    x = images()
    assert_close(tuple(ours(x)), tuple(peer(x)), rel=1e-12)
    truth = {key: value for key, value in gradients(peer, x).items() if value is not None}
    assert_close(gradients(ours, x), truth, rel=1e-10)


def test_all_is_the_default() -> None:
    keys = [list(build_ours(extra=EXTRA, **given).state_dict()) for given in ({}, dict(fusions=MODULES))]
    assert keys[0] == keys[1]


@pytest.mark.parametrize(('fusions', 'units'), [(None, 8), ((1, 1, 1), 3), ((0, 0, 1), 1)])
def test_the_papers_three_rows(fusions, units) -> None:
    """W32 has eight exchange units; the ablation keeps three (across stages) or one (the final)."""
    with torch.device('meta'):
        model = HRNetBackbone('w32', fusions=fusions)
    modules = [m for number in (2, 3, 4) for m in getattr(model, f'stage{number}')]
    assert sum(any(True for _ in m.fuse_layers.parameters()) for m in modules) == units


@pytest.mark.parametrize('fusions', [(1, 4), (1, 4, 3), (0, -1, 1), 'all', 3, (True, 1, 1), (1.0, 1, 1)])
def test_wrong_counts_are_refused(fusions) -> None:
    with pytest.raises(ValueError, match=r'fusions=.*expected 3 integers from 0 to \(1, 3, 3\)'):
        build_ours(extra=EXTRA, fusions=fusions)
