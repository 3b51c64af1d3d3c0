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

from hrnet_mm.inference.people import PersonBoxes, boxes_of, people_in, read_boxes
from hrnet_mm.inference.sources import Images, InputImage, Video
from hrnet_mm.pictures.metadata import Metadata
from hrnet_mm.pictures.predictions import Boxes

TWO = Images(Path(), ('a.jpg', 'north/b.jpg'))


def image(name: str = 'a.jpg', frame: int | None = None) -> InputImage:
    return InputImage(name, np.zeros((20, 30, 3), np.uint8), frame)


def boxes_file(tmp_path: Path, content: Any, source: Any = TWO) -> dict[str, PersonBoxes]:
    path = tmp_path / 'boxes.json'
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_boxes(path, source=source)


def test_boxes_of_a_file(tmp_path: Path) -> None:
    boxes = boxes_file(tmp_path, {'a.jpg': [[1, 2, 3, 4], [5, 6, 7, 8, 0.5]], 'north/b.jpg': [], 'c.jpg': []})
    assert boxes_of(image(), boxes).tolist() == [[1, 2, 3, 4, 1], [5, 6, 7, 8, 0.5]]
    assert boxes_of(image('north/b.jpg'), boxes).shape == (0, 5)


def test_boxes_of_videos_are_for_all_frames_or_one(tmp_path: Path) -> None:
    write_video(tmp_path / 'clip.mp4', frames=2)
    video = Video(tmp_path / 'clip.mp4')
    frames = [image(f'clip.mp4#{number}', number) for number in range(2)]
    boxes = boxes_file(tmp_path, {'clip.mp4': [[1, 2, 3, 4]], 'clip.mp4#1': [[5, 6, 7, 8]]}, video)
    assert [boxes_of(frame, boxes)[0, 0] for frame in frames] == [1, 5]
    alone = boxes_file(tmp_path, {'clip.mp4#1': [[5, 6, 7, 8]]}, video)
    assert [len(boxes_of(frame, alone)) for frame in frames] == [0, 1]


@pytest.mark.parametrize(
    ('content', 'parts'),
    [
        ('not json', ['--boxes', 'a JSON file']),
        ({'a.jpg': [[1, 2, 3, 4]]}, ['--boxes', "'north/b.jpg'", '1 of 2']),
        ({'a.jpg': [[1, 2, 3]], 'north/b.jpg': []}, ['--boxes a.jpg', '[1, 2, 3]']),
        ({'a.jpg': [[3, 2, 1, 4]], 'north/b.jpg': []}, ['--boxes a.jpg', 'x1 < x2']),
    ],
)
def test_other_files_are_refused(content: Any, parts: list[str], tmp_path: Path) -> None:
    refuses(lambda: boxes_file(tmp_path, content), *parts)


def detected(names: Sequence[str], least_score: float = 0.3, **classes: Any) -> PersonBoxes:
    boxes = Boxes(
        boxes=np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [0, 20, 10, 30], [40, 0, 50, 10.0]]),
        scores=np.array([0.9, 0.8, 0.7, 0.6, 0.2]),
        labels=np.array([1, 1, 1, 0, 1]) if len(names) > 1 else np.zeros(5, int),
    )
    metadata = Metadata(tuple(names), ((0, 0, 0),) * len(names))
    return people_in(boxes, metadata=metadata, least_score=least_score, key='--detector', **classes)


def test_people_alone_are_looked_at_and_each_once() -> None:
    np.testing.assert_allclose(detected(['car', 'Person']), [[0, 0, 10, 10, 0.9], [20, 0, 30, 10, 0.7]])
    assert len(detected(['car', 'person'], least_score=0.1)) == 3
    assert len(detected(['pedestrian'])) == 3, 'a detector of one class needs no name'
    refuses(lambda: detected(['car', 'dog']), '--detector', 'car, dog', "'person'")


def test_any_class_can_be_looked_at() -> None:
    np.testing.assert_allclose(detected(['dog', 'cat'], classes=['Dog']), [[0, 20, 10, 30, 0.6]])
    assert len(detected(['dog', 'cat'], classes=['dog', 'cat'])) == 3
    refuses(lambda: detected(['dog', 'cat'], classes=['dog', 'cow']), '--detector-class', "'cow'", 'dog, cat')
    refuses(lambda: detected(['dog'], classes=['cow']), '--detector-class', "'cow'", 'dog')
