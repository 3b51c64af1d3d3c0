"""Planted boxes, masks, keypoints and classes are drawn at their place in their colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement, InstanceData, PixelData
from pixels import BLUE, GREEN, GREY, RED, Box, extent, flat, is_colour

from hrnet_mm.pictures.sample_drawing import Canvas, draw_annotation
from hrnet_mm.pictures.sample_look import Look
from hrnet_mm.pictures.sample_sheet import ContactSheet, framed
from hrnet_mm.pictures.sample_source import spread
from hrnet_mm.pictures.sample_text import LINE_HEIGHT, draw_plate, text_width, wrap


def edges(canvas: Canvas, box: Box) -> np.ndarray:
    """The middles of a box's right and lower edges, which no name covers."""
    left, top, right, bottom = (round(edge * canvas.scale) for edge in box)
    return canvas.pixels[[(top + bottom) // 2, bottom], [right, (left + right) // 2]]


def detection(boxes: Sequence[Box], labels: Sequence[int], **more: Any) -> BaseDataElement:
    instances = InstanceData(bboxes=torch.tensor(boxes).reshape(-1, 4), labels=torch.tensor(labels), **more)
    return BaseDataElement(gt_instances=instances)


LOOK = Look(classes=('cat', 'dog'), palette=(RED, BLUE))


def test_boxes_are_drawn_at_their_place_in_their_classes_colour() -> None:
    boxes = [(20.0, 40.0, 90.0, 120.0), (120.0, 60.0, 220.0, 180.0)]
    canvas = draw_annotation(flat(), detection(boxes, [1, 0]), LOOK)
    assert canvas.scale == 1
    for box, colour in zip(boxes, (BLUE, RED), strict=True):
        assert (edges(canvas, box) == colour).all()
    middle = canvas.pixels[90, 55], canvas.pixels[120, 170], canvas.pixels[10, 230]
    assert all((pixel == GREY).all() for pixel in middle)
    assert canvas.notes == ['2 boxes: 1 dog, 1 cat']
    drawn = is_colour(canvas.pixels, BLUE) | is_colour(canvas.pixels, RED)
    assert drawn.sum() < 0.2 * drawn.size


def test_small_images_are_enlarged_and_their_boxes_with_them() -> None:
    canvas = draw_annotation(flat(size=(32, 40)), detection([(10.0, 8.0, 30.0, 28.0)], [0]), LOOK)
    assert (canvas.scale, canvas.pixels.shape) == (5, (160, 200, 3))
    assert (canvas.pixels[90, 150] == RED).all() and (canvas.pixels[140, 100] == RED).all()
    assert (canvas.pixels[90, 145] == GREY).all() and (canvas.pixels[90, 156] == GREY).all()


def test_broken_boxes_are_told() -> None:
    outside = detection(
        [(10.0, 10.0, 10.0, 50.0), (300.0, 10.0, 400.0, 50.0), (-1e9, 5.0, 1e9, 90.0)], [0, 0, 7]
    )
    canvas = draw_annotation(flat(), outside, LOOK)
    assert canvas.notes == ['3 boxes: 2 cat, 1 7: NO CLASS', '2 EMPTY OR OUTSIDE']
    with pytest.raises(ValueError, match='expected finite numbers'):
        draw_annotation(flat(), detection([(float('nan'), 1.0, 2.0, 3.0)], [0]), LOOK)


def test_crowds_are_grey_and_no_boxes_are_told() -> None:
    nothing = detection([], [])
    nothing.ignored_instances = InstanceData(bboxes=torch.tensor([[50.0, 50.0, 150.0, 150.0]]))
    canvas = draw_annotation(flat(), nothing, LOOK)
    assert canvas.notes == ['0 boxes']
    assert (edges(canvas, (50, 50, 150, 150)) == (150, 150, 150)).all()
    assert draw_annotation(flat(), BaseDataElement(), LOOK).notes == ['no annotation']


def test_masks_cover_their_pixels_and_no_others() -> None:
    mask = np.zeros((1, 200, 240), np.uint8)
    mask[0, 60:100, 100:140] = 1
    canvas = draw_annotation(flat(), detection([(80.0, 40.0, 160.0, 120.0)], [1], masks=mask), LOOK)
    half = (np.asarray(GREY) + BLUE) / 2
    covered = is_colour(canvas.pixels, half, within=2)
    outline = (canvas.pixels[59:101, 99:141] == BLUE).all(axis=-1)
    assert extent(covered) == (101, 61, 139, 99) and covered.sum() == 38 * 38
    assert extent(outline) == (1, 1, 41, 41) and outline.sum() == 4 * 39


def label_map() -> np.ndarray:
    labels = np.zeros((200, 240), np.int64)
    labels[:, 80:160] = 1
    labels[100:, 160:] = 255
    labels[:100, 160:] = 9
    return labels


def test_label_maps_with_ignored_pixels_and_values_that_are_no_class() -> None:
    sample = BaseDataElement(gt_sem_seg=PixelData(data=torch.from_numpy(label_map())[None]))
    canvas = draw_annotation(flat(), sample, LOOK)
    half = {name: tuple((np.asarray(GREY) + c) / 2) for name, c in {'r': RED, 'b': BLUE}.items()}
    assert is_colour(canvas.pixels[:, :80], half['r'], 2).all()
    assert is_colour(canvas.pixels[:, 80:160], half['b'], 2).all()
    ignored, wrong = canvas.pixels[100:, 160:], canvas.pixels[:100, 160:]
    black, white = (is_colour(ignored, (GREY[0] / 2 + c / 2,) * 3, 2) for c in (0, 255))
    assert (black | white).all() and 0.4 < black.mean() < 0.6
    assert 0.4 < is_colour(wrong, half['r'], 2).mean() < 0.6
    assert [swatch.text for swatch in canvas.legend] == [
        'cat 33.3%',
        'dog 33.3%',
        '9: NO CLASS 16.7%',
        'ignored 16.7%',
    ]
    assert canvas.notes == ['2 of 2 classes']


def test_the_ignored_value_is_the_data_sets() -> None:
    sample = BaseDataElement(gt_sem_seg=PixelData(data=torch.from_numpy(label_map())[None]))
    texts = [
        swatch.text for swatch in draw_annotation(flat(), sample, Look(classes=('a',), ignore_index=9)).legend
    ]
    assert [text.rpartition(' ')[0] for text in texts] == ['a', '1: NO CLASS', 'ignored', '255: NO CLASS']


def test_keypoints_links_and_targets() -> None:
    look = Look(keypoint_colours=(RED, GREEN, BLUE), links=(((0, 1), (255, 0, 255)), ((1, 2), (0, 255, 255))))
    points = np.array([[[40.0, 50.0], [200.0, 50.0], [120.0, 150.0]]], np.float32)
    maps = np.zeros((3, 50, 60), np.float32)
    maps[0, 30, 40] = 1.0
    sample = BaseDataElement(
        gt_instances=InstanceData(keypoints=points, keypoints_visible=np.array([[1.0, 1.0, 0.0]])),
        gt_fields=PixelData(heatmaps=torch.from_numpy(maps)),
    )
    canvas = draw_annotation(flat(), sample, look)
    assert (canvas.pixels[50, 40] == RED).all() and (canvas.pixels[50, 200] == GREEN).all()
    assert (canvas.pixels[50, 120] == (255, 0, 255)).all()
    assert not is_colour(canvas.pixels, BLUE).any(), 'the third is not annotated'
    assert not is_colour(canvas.pixels, (0, 255, 255)).any(), 'nor its link'
    changed = (canvas.pixels != GREY).any(axis=-1)
    changed[40:60] = False
    left, top, right, bottom = extent(changed)
    assert (left + right) / 2 == pytest.approx(4 * 40.5, abs=1), 'the glow is where the target is'
    assert (top + bottom) / 2 == pytest.approx(4 * 30.5, abs=1)
    assert canvas.notes == ['1 heatmap with a target', '1 person, 2 of 2 keypoints in the picture']


@pytest.mark.parametrize(
    ('labels', 'note'), [([1], 'label: dog'), ([0, 1], 'label: cat, dog'), ([2], 'label: 2: NO CLASS')]
)
def test_class_labels(labels: list[int], note: str) -> None:
    sample = BaseDataElement(gt_label=torch.tensor(labels))
    canvas = draw_annotation(flat(), sample, LOOK)
    assert canvas.notes == [note]
    assert (canvas.pixels == GREY).all()


def test_looks_of_incomplete_metainfo() -> None:
    assert Look.of({}).name(3) == '3'
    random = Look.of({'classes': ['a', 'b', 'c'], 'palette': 'random'})
    assert len({random.colour(label) for label in range(3)}) == 3
    short = Look.of({'classes': ['a', 'b'], 'palette': [(1, 2, 3)]})
    assert (short.colour(0), short.name(1), short.knows(2)) == ((1, 2, 3), 'b', False)


# text and sheets


def test_text_breaks_where_it_has_to_and_loses_nothing() -> None:
    text = 'a few short words and onethatiswaytoolongforanylineofthiswidth café 猫'
    lines = wrap(text, 90)
    assert max(map(text_width, lines)) <= 90
    assert ''.join(lines).replace(' ', '') == text.replace(' ', '')
    assert wrap(text, 10_000) == [text]


@pytest.mark.parametrize('corner', [(-50, -50), (10, 10), (230, 195), (500, 500)])
def test_plates_stay_in_the_picture(corner: tuple[int, int]) -> None:
    pixels = flat()
    draw_plate(pixels, 'cat', corner=corner, colour=RED)
    left, top, right, bottom = extent((pixels != GREY).any(axis=-1))
    assert (right - left, bottom - top) == (text_width('cat') + 6, LINE_HEIGHT)
    assert is_colour(pixels[top:bottom, left:right], RED).mean() > 0.4
    assert (pixels[top:bottom, left:right].min(axis=-1) > 128).any(), 'letters are white on red'


def test_frames_hold_the_whole_picture_and_the_legends_colours() -> None:
    sample = BaseDataElement(gt_sem_seg=PixelData(data=torch.from_numpy(label_map())[None]))
    canvas = draw_annotation(flat(), sample, LOOK)
    picture = framed(canvas, title='a title')
    top = next(i for i in range(200) if (picture[i : i + 200, :240] == canvas.pixels).all())
    assert (picture[:top] < 100).any(), 'a caption above'
    below = picture[top + 200 :]
    assert all((below == colour).all(axis=-1).sum() >= 70 for colour in (RED, BLUE, (0, 0, 0)))


def test_the_sheet_has_a_cell_per_picture() -> None:
    sheet = ContactSheet(5)
    colours = [RED, GREEN, BLUE, (255, 255, 0), (0, 255, 255)]
    for colour in colours:
        sheet.add(Canvas(pixels=flat(colour, size=(400, 640)), scale=1), title='x')
    drawn = sheet.draw()
    boxes = [extent(is_colour(drawn, colour, 2)) for colour in colours]
    assert {(right - left, bottom - top) for left, top, right, bottom in boxes} == {(320, 200)}
    assert len({left for left, *_ in boxes}) == 3 and len({top for _, top, *_ in boxes}) == 2
    with pytest.raises(ValueError, match='expected at least one'):
        ContactSheet(3).draw()


@pytest.mark.parametrize(('available', 'wanted'), [(10, 3), (3, 10), (7, 7), (1, 1)])
def test_samples_are_spread(available: int, wanted: int) -> None:
    indices = spread(available, wanted)
    assert len(set(indices)) == len(indices) == min(available, wanted)
    assert max(np.diff(indices, append=available), default=1) <= -(-available // wanted)
