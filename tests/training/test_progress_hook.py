"""The progress line of a training run."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from hrnet_mm.training.hooks import TrainProgressHook

pytestmark = pytest.mark.usefixtures('own_folder')


def test_bar_counts_from_the_resumed_iteration_and_shows_the_loss(capsys: pytest.CaptureFixture[str]) -> None:
    hook = TrainProgressHook(title='pose')
    runner = SimpleNamespace(max_iters=10, iter=4)
    hook.before_train(runner)
    for i in range(4, 10):
        hook.after_train_iter(runner, batch_idx=i, outputs={'loss': 0.25})
    hook.after_train(runner)
    last = capsys.readouterr().err.split('\r')[-1]
    assert 'pose: 100%' in last
    assert '10/10' in last
    assert 'loss=0.25' in last
