"""Predictions of several tasks by one model: one pass of the backbone for all that look at whole images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from .people import PEOPLE, people_in

if TYPE_CHECKING:
    from .network import Network

#: Boxes of a detection task that top-down pose looks at have at least this score.
_LEAST_SCORE = 0.3


@contextmanager
def shared_maps(networks: Iterable[Network]) -> Iterator[None]:
    """While it is entered, networks of one joint model do not compute the maps of an image twice."""
    joint = {id(network.joint): network.joint for network in networks if network.joint is not None}
    with ExitStack() as stack:
        for each in joint.values():
            each.load()
            stack.enter_context(each._model.shared_maps())
        yield


def predict_tasks(network: Network, images: Sequence[Any], *, boxes: Any, batch: int) -> list[dict[str, Any]]:
    """Task -> prediction, for each image; arguments as of :meth:`Network.predict`."""
    found: list[dict[str, Any]] = []
    for start in range(0, len(images), batch):
        part = images[start : start + batch]
        given = None if boxes is None else boxes[start : start + batch]
        with shared_maps(network.tasks.values()):
            by_task = _predict_part(network.tasks, part, boxes=given, batch=batch)
        found += [{name: by_task[name][index] for name in network.tasks} for index in range(len(part))]
    return found


def _predict_part(
    tasks: dict[str, Network], images: Sequence[Any], *, boxes: Any, batch: int
) -> dict[str, Any]:
    found = {name: each.predict(images, batch=batch) for name, each in tasks.items() if not each.is_top_down}
    detector = next((name for name, each in tasks.items() if each.task == 'detection'), None)
    if boxes is None and detector is not None:
        metadata = tasks[detector].metadata
        classes = [name for name in PEOPLE if name in metadata.names] or metadata.names[:1]
        boxes = [
            people_in(each, metadata=metadata, least_score=_LEAST_SCORE, classes=classes)
            for each in found[detector]
        ]
    for name in tasks.keys() - found.keys():
        found[name] = tasks[name].predict(images, boxes=boxes, batch=batch)
    return found
