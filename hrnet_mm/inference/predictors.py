"""From pictures to what a network finds in them, some at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from ..pictures.predictions import Poses, Prediction, together
from .network import Network
from .person_boxes import PersonBoxes
from .sources import Picture

#: People that a top-down network sees at a time, for each picture that others see: crops are small.
PEOPLE_PER_PICTURE = 8
Item = TypeVar('Item')


class WholePredictor:
    """Asks a network about whole pictures.

    Args:
        network: Any but a top-down pose network.
        batch: How many pictures go through it at a time.
    """

    def __init__(self, network: Network, *, batch: int) -> None:
        self._network = network
        self._batch = batch

    def __call__(self, pictures: Sequence[Picture]) -> list[Prediction]:
        """One answer per picture."""
        inputs = [self._network.input_of(picture) for picture in pictures]
        return [found for part in chunks(inputs, self._batch) for found in self._network.ask(part)]


class PeoplePredictor:
    """Asks a top-down pose network about people in boxes.

    Args:
        network: A top-down pose network.
        boxes: Where to look.
        batch: Of pictures; eight times as many people go through the network at a time.
    """

    def __init__(self, network: Network, *, boxes: PersonBoxes, batch: int) -> None:
        self._network = network
        self._boxes = boxes
        self._batch = batch * PEOPLE_PER_PICTURE

    def __call__(self, pictures: Sequence[Picture]) -> list[Poses]:
        """One answer per picture, with the people in the order of the boxes."""
        people: list[list[Poses]] = [[] for _ in pictures]
        for part in chunks(self._crops(pictures), self._batch):
            for (index, _), found in zip(part, self._network.ask([crop for _, crop in part]), strict=True):
                assert isinstance(found, Poses)  # a pose network's
                people[index].append(found)
        return [together(each, keypoints=len(self._network.metadata.names)) for each in people]

    def _crops(self, pictures: Sequence[Picture]) -> Iterator[tuple[int, dict[str, Any]]]:
        for index, boxes in enumerate(self._boxes(pictures)):
            for box in boxes:
                where = {'bbox': box[None, :4], 'bbox_score': np.ascontiguousarray(box[4:])}
                yield index, self._network.input_of(pictures[index], **where)


class Remembering:
    """A predictor that answers twice about the same pictures for the price of once."""

    def __init__(self, predict: WholePredictor) -> None:
        self._predict = predict
        self._asked: Sequence[Picture] | None = None
        self._answers: list[Prediction] = []

    def __call__(self, pictures: Sequence[Picture]) -> list[Prediction]:
        """One answer per picture."""
        if pictures is not self._asked:
            self._asked, self._answers = pictures, self._predict(pictures)
        return self._answers


def chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of ``size`` items, and one of the rest."""
    iterator = iter(items)
    while part := list(islice(iterator, size)):
        yield part
