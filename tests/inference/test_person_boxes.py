"""Where top-down pose looks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media import write_video
from refusal import refuses

from hrnet_mm.inference.person_boxes import BoxesOfFile, DetectedPeople, whole_pictures
from hrnet_mm.inference.predictors import Remembering, chunks
from hrnet_mm.inference.sources import Images, Picture, Video
from hrnet_mm.pictures.metadata import Metadata
from hrnet_mm.pictures.predictions import Boxes

TWO = Images(Path(), ['a.jpg', 'north/b.jpg'])
COLOURS = ((0, 0, 0), (1, 1, 1), (2, 2, 2))


def picture(name: str = 'a.jpg', frame: int | None = None) -> Picture:
    return Picture(name, np.zeros((20, 30, 3), np.uint8), frame)


def boxes_file(tmp_path: Path, content: Any, source: Any = TWO) -> BoxesOfFile:
    path = tmp_path / 'boxes.json'
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return BoxesOfFile(path, source=source)


def test_a_whole_picture_is_one_person() -> None:
    (boxes,) = whole_pictures([picture()])
    assert boxes.tolist() == [[0, 0, 30, 20, 1]]


def test_boxes_of_a_file(tmp_path: Path) -> None:
    boxes = boxes_file(tmp_path, {'a.jpg': [[1, 2, 3, 4], [5, 6, 7, 8, 0.5]], 'north/b.jpg': [], 'c.jpg': []})
    of_a, of_b = boxes([picture(), picture('north/b.jpg')])
    assert of_a.tolist() == [[1, 2, 3, 4, 1], [5, 6, 7, 8, 0.5]]
    assert of_b.shape == (0, 5)


def test_boxes_of_videos_are_for_all_frames_or_one(tmp_path: Path) -> None:
    write_video(tmp_path / 'clip.mp4', frames=2)
    video = Video(tmp_path / 'clip.mp4')
    boxes = boxes_file(tmp_path, {'clip.mp4': [[1, 2, 3, 4]], 'clip.mp4#1': [[5, 6, 7, 8]]}, video)
    first, second = boxes(list(video))  # type: ignore[arg-type]
    assert (first[0, 0], second[0, 0]) == (1, 5)
    alone = boxes_file(tmp_path, {'clip.mp4#1': [[5, 6, 7, 8]]}, video)
    first, second = alone(list(video))  # type: ignore[arg-type]
    assert (len(first), len(second)) == (0, 1)


@pytest.mark.parametrize(
    ('content', 'parts'),
    [
        ('not json', ['--boxes', 'a JSON file']),
        ([[1, 2, 3, 4]], ['--boxes', '{"image name"']),
        ({'a.jpg': [[1, 2, 3, 4]]}, ['--boxes', "'north/b.jpg'", '1 of 2']),
        ({'a.jpg': [[1, 2, 3]], 'north/b.jpg': []}, ['--boxes a.jpg', '[1, 2, 3]']),
        ({'a.jpg': [1, 2, 3, 4], 'north/b.jpg': []}, ['--boxes a.jpg', 'a list of boxes']),
        ({'a.jpg': [[3, 2, 1, 4]], 'north/b.jpg': []}, ['--boxes a.jpg', 'x1 < x2']),
        ({'a.jpg': [[1, 2, 3, 'x']], 'north/b.jpg': []}, ['--boxes a.jpg', 'a list of boxes']),
        ({'a.jpg': {}, 'north/b.jpg': []}, ['--boxes a.jpg', 'a list of boxes']),
    ],
)
def test_other_files_are_refused(content: Any, parts: list[str], tmp_path: Path) -> None:
    refuses(lambda: boxes_file(tmp_path, content), *parts)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    refuses(lambda: BoxesOfFile(tmp_path / 'gone.json', source=TWO), '--boxes', 'gone.json', 'a JSON file')


# --- Detected people -------------------------------------------------------------------------------


def detected(names: Sequence[str], least_score: float = 0.3) -> DetectedPeople:
    found = Boxes(
        boxes=np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [0, 20, 10, 30], [40, 0, 50, 10.0]]),
        scores=np.array([0.9, 0.8, 0.7, 0.6, 0.2]),
        labels=np.array([1, 1, 1, 0, 1]) if len(names) > 1 else np.zeros(5, int),
    )
    metadata = Metadata(tuple(names), COLOURS[: len(names)])
    return DetectedPeople(
        lambda pictures: [found], metadata=metadata, key='--detector', least_score=least_score
    )


def test_people_alone_are_looked_at_and_each_once() -> None:
    (boxes,) = detected(['car', 'person'])([picture()])
    np.testing.assert_allclose(boxes, [[0, 0, 10, 10, 0.9], [20, 0, 30, 10, 0.7]])
    assert len(detected(['car', 'person'], least_score=0.1)([picture()])[0]) == 3


def test_a_detector_of_one_class_needs_no_name() -> None:
    assert len(detected(['pedestrian'])([picture()])[0]) == 3


def test_a_detector_that_does_not_know_people_is_refused() -> None:
    refuses(lambda: detected(['car', 'dog']), '--detector', 'car, dog', "'person'")


# --- Batches ---------------------------------------------------------------------------------------


def test_chunks() -> None:
    assert list(chunks(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(chunks([], 2)) == []


def test_the_same_pictures_are_asked_about_once() -> None:
    asked: list[int] = []

    def predict(pictures: Sequence[Picture]) -> list[Any]:
        asked.append(len(pictures))
        return [object() for _ in pictures]

    remembering = Remembering(predict)  # type: ignore[arg-type]
    some, others = [picture()], [picture(), picture()]
    assert remembering(some) is remembering(some)
    assert len(remembering(others)) == 2
    assert asked == [1, 2]
