"""Which CUDA stream runs what, and who waits for whom, by stand-ins that write it down."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial

import pytest
import torch

from hrnet_mm import HRNetBackbone
from hrnet_mm.models import side_by_side as module
from hrnet_mm.models.side_by_side import parallel_capture, side_by_side


class Streams:
    """``torch.cuda`` as far as it is used: streams by number, 0 the one that captures."""

    def __init__(self) -> None:
        self.log: list[tuple[object, ...]] = []
        self.count = 0
        self.now = 0
        self.capturing = True

    def is_available(self) -> bool:
        return True

    def is_current_stream_capturing(self) -> bool:
        return self.capturing

    def current_stream(self) -> Stream:
        return Stream(self, self.now)

    def Stream(self) -> Stream:
        self.count += 1
        return Stream(self, self.count)

    @contextlib.contextmanager
    def stream(self, stream: Stream) -> Iterator[None]:
        before, self.now = self.now, stream.number
        yield
        self.now = before


class Stream:
    def __init__(self, streams: Streams, number: int) -> None:
        self.streams, self.number = streams, number

    def record_event(self) -> str:
        self.streams.log.append(('fork', self.number))
        return 'fork'

    def wait_event(self, event: str) -> None:
        self.streams.log.append(('waits for', event, self.number))

    def wait_stream(self, other: Stream) -> None:
        self.streams.log.append(('joined', other.number))


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> Streams:
    fake = Streams()
    monkeypatch.setattr(module.torch, 'cuda', fake)
    return fake


def test_jobs_fork_and_join(streams: Streams):
    def job(name: str) -> str:
        streams.log.append((name, streams.now))
        return name

    with parallel_capture():
        assert side_by_side([partial(job, name) for name in 'abc']) == ['a', 'b', 'c']
        assert side_by_side([partial(job, name) for name in 'de']) == ['d', 'e']
    assert streams.log == [
        ('fork', 0),
        ('a', 0),
        ('waits for', 'fork', 1),
        ('b', 1),
        ('waits for', 'fork', 2),
        ('c', 2),
        ('joined', 1),
        ('joined', 2),
        ('fork', 0),
        ('d', 0),
        ('waits for', 'fork', 1),
        ('e', 1),
        ('joined', 1),
    ]


@pytest.mark.parametrize('capturing', [True, False])
def test_elsewhere_one_after_the_other(streams: Streams, capturing: bool):
    streams.capturing = capturing
    with contextlib.nullcontext() if capturing else parallel_capture():
        assert side_by_side([lambda: streams.now, lambda: streams.now]) == [0, 0]
    assert streams.log == []


def test_every_stage_of_the_network_forks_and_joins(streams: Streams):
    model = HRNetBackbone('w18_small_v1').eval()
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        plain = model(image)
        with parallel_capture():
            parallel = model(image)
    assert all(torch.equal(a, b) for a, b in zip(plain, parallel, strict=True))
    # a module of stages 2, 3 and 4 each has its branches and its fusion, on 2, 3 and 4 CUDA streams
    forks = [i for i, event in enumerate(streams.log) if event[0] == 'fork']
    widths = [
        sum(event[0] == 'joined' for event in streams.log[a:b]) + 1
        for a, b in zip(forks, [*forks[1:], len(streams.log)], strict=True)
    ]
    assert widths == [2, 2, 3, 3, 4, 4]
