"""A process that dies, hangs or refuses to start: the others end soon, with one line."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from jobs import errors, train_job
from small_runs import write_project

pytestmark = pytest.mark.nightly

LONG = ('train_cfg.max_epochs=100000', 'train_cfg.val_interval=100000')
#: How the other process is lost -> seconds that a process waits for it. One that stopped keeps its
#: connections open, and only the time-out tells; a healthy one answers sooner, however slow the machine.
TIMEOUTS = {signal.SIGKILL: 600, signal.SIGSTOP: 20}


@pytest.fixture(scope='module')
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('pose')
    write_project(folder, 'pose')
    return folder


@pytest.mark.parametrize(
    ('blow', 'what'),
    [
        (signal.SIGKILL, 'another process of this job died'),
        (signal.SIGSTOP, 'another process of this job did not answer in time (env_cfg.dist_cfg.timeout)'),
    ],
)
def test_the_survivor_says_when_it_lost_the_other(blow: signal.Signals, what: str, place: Path) -> None:
    timeout = f'env_cfg.dist_cfg.timeout={TIMEOUTS[blow]}'
    first, second = train_job('pose.py', *LONG, timeout, name=blow.name, at=[place, place])
    assert second.follow(until=8), second.log.read_text()
    os.kill(second.pid, blow)
    try:
        first.follow()
    finally:
        second.kill()
    log = first.log.read_text()
    (message,) = errors(log)
    assert message.startswith(f'error: {what} while training, in iteration ')
    assert f'the previous checkpoint {blow.name}/epoch_' in message.replace(str(place) + os.sep, '')
    assert 'is intact, and --resume continues from it' in message
    assert 'Traceback' not in log
    assert log.endswith('exit code 1\n')


def test_sigterm_is_told_with_the_way_to_go_on(place: Path) -> None:
    trials = train_job('pose.py', *LONG, name='term', at=[place, place])
    assert trials[0].follow(until=8), trials[0].log.read_text()
    for trial in trials:
        os.kill(trial.pid, signal.SIGTERM)
    for trial in trials:
        trial.follow()
    messages = errors(*(trial.log.read_text() for trial in trials))
    assert messages and all('--resume continues from it' in message for message in messages)
    # one of them may see the other go before its own signal arrives
    codes = [trial.log.read_text().rsplit(None, 1)[-1] for trial in trials]
    assert '143' in codes and set(codes) <= {'143', '1'}


@pytest.mark.parametrize(
    ('config', 'part'),
    [
        ('no_such.py', "error: config = '"),
        # the second process lacks the data
        ('pose.py', 'train_dataloader.dataset.dataset.data_root = '),
    ],
)
def test_a_mistake_ends_all_and_is_said_once(config: str, part: str, place: Path) -> None:
    elsewhere = place / 'elsewhere'
    elsewhere.mkdir(exist_ok=True)
    trials = train_job(place / config, name=f'mistake_{config}', at=[place, elsewhere])
    for trial in trials:
        trial.follow()
    logs = [trial.log.read_text() for trial in trials]
    (message,) = errors(*logs)
    assert part in message
    assert all(log.endswith('exit code 2\n') and 'Traceback' not in log for log in logs)
