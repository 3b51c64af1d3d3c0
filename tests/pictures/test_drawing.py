"""What is planted appears in its colour at its place, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from hrnet_mm.pictures import drawing_labels
from hrnet_mm.pictures.drawing_boxes import draw_boxes
from hrnet_mm.pictures.drawing_classes import add_caption
from hrnet_mm.pictures.drawing_labels import add_legend, draw_labels
from hrnet_mm.pictures.drawing_pose import draw_poses
from hrnet_mm.pictures.metadata import Colour, Metadata, class_metadata, pose_metadata
from hrnet_mm.pictures.painter import Layer, paint
from hrnet_mm.pictures.predictions import Boxes, Classes, Labels, Poses, Prediction
from hrnet_mm.pictures.strokes import enlargement, fitting_text, readable_on, strokes_for, text_plate

RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)
PEOPLE = Metadata(
    names=('head', 'hand', 'foot'),
    colours=(RED, GREEN, BLUE),
    links=((0, 1), (0, 2)),
    link_colours=(YELLOW, (0, 255, 255)),
)
THINGS = Metadata(names=('sky', 'road', 'car'), colours=(BLUE, GREEN, RED))


def grey(height: int = 300, width: int = 400) -> np.ndarray:
    return np.full((height, width, 3), 100, np.uint8)


def has(image: np.ndarray, colour: Colour) -> bool:
    return bool((image == colour).all(axis=-1).any())


# --- People ----------------------------------------------------------------------------------------


def person(scores: tuple[float, float, float] = (0.9, 0.9, 0.9)) -> Poses:
    points = np.array([[[50.0, 50.0], [150.0, 50.0], [50.0, 250.0]]])
    return Poses(points, np.array([scores]), np.array([[0.0, 0.0, 200.0, 300.0]]), np.ones(1))


def test_limbs_and_joints_have_their_colours() -> None:
    canvas = grey()
    draw_poses(canvas, person(), PEOPLE, least_score=0.3)
    assert tuple(canvas[50, 100]) == YELLOW
    assert tuple(canvas[150, 50]) == (0, 255, 255)
    assert [tuple(canvas[y, x]) for x, y in ((50, 50), (150, 50), (50, 250))] == [RED, GREEN, BLUE]
    assert (canvas[:, 200:] == 100).all()


def test_keypoints_of_low_score_are_left_out_with_their_limbs() -> None:
    canvas = grey()
    draw_poses(canvas, person(scores=(0.9, 0.29, 0.3)), PEOPLE, least_score=0.3)
    assert not has(canvas, GREEN) and not has(canvas, YELLOW)
    assert has(canvas, RED) and has(canvas, BLUE) and has(canvas, (0, 255, 255))


def test_impossible_places_do_not_stop_the_drawing() -> None:
    canvas = grey()
    people = person()
    people.keypoints[0, 1] = (np.nan, 0)
    people.keypoints[0, 2] = (1e30, -1e30)
    draw_poses(canvas, people, PEOPLE, least_score=0.3)
    assert tuple(canvas[50, 50]) == RED


# --- Label maps ------------------------------------------------------------------------------------


def halves(left: int = 0, right: int = 2) -> Labels:
    labels = np.full((300, 400), left, np.int64)
    labels[:, 200:] = right
    return Labels(labels)


def test_classes_are_mixed_in_at_their_places() -> None:
    canvas = grey()
    draw_labels(canvas, halves(), THINGS, least_score=1.0)
    assert tuple(canvas[150, 100]) == (45, 45, 185)  # 0.45 of 100, 0.55 of the class
    assert tuple(canvas[150, 300]) == (185, 45, 45)
    assert (canvas[:, 199] < canvas[:, 100]).any(), 'no line between the classes'


def test_numbers_without_a_class_are_left_as_they_are() -> None:
    canvas = grey()
    draw_labels(canvas, halves(left=255), THINGS, least_score=0.0)
    assert (canvas[:, :199] == 100).all()


def test_the_legend_shows_the_classes_present_alone() -> None:
    drawn = add_legend(grey(), halves(), THINGS)
    legend = drawn[:, 400:]
    assert (drawn[:, :400] == 100).all()
    assert has(legend, BLUE) and has(legend, RED) and not has(legend, GREEN)


def test_the_largest_class_comes_first() -> None:
    labels = halves()
    labels.labels[:, 150:200] = 2
    legend = add_legend(grey(), labels, THINGS)[:, 400:]
    red, blue = (np.argwhere((legend == colour).all(axis=-1))[:, 0].min() for colour in (RED, BLUE))
    assert red < blue


def test_names_that_have_room_are_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    def record(text: str, **limits: int) -> str:
        written.append(fitting_text(text, **limits))
        return text

    monkeypatch.setattr(drawing_labels, 'fitting_text', record)
    for height in range(300, 1500, 100):
        metadata = Metadata(names=('background', 'road', 'person'), colours=THINGS.colours)
        add_legend(grey(height, 3000), Labels(halves().labels), metadata)
    assert set(written) == {'background', 'person'}


def test_legends_of_one_size_whatever_is_there_even_many_classes() -> None:
    many = class_metadata({}, count=200)
    few = add_legend(grey(), halves(), many)
    labels = np.arange(300 * 400).reshape(300, 400) % 200
    assert add_legend(grey(), Labels(labels), many).shape == few.shape


# --- Boxes -----------------------------------------------------------------------------------------


def objects(**changes: object) -> Boxes:
    values = {
        'boxes': np.array([[100.0, 100.0, 200.0, 250.0], [250.0, 50.0, 350.0, 150.0]]),
        'scores': np.array([0.9, 0.2]),
        'labels': np.array([2, 1]),
        'masks': None,
    }
    return Boxes(**{**values, **changes})  # type: ignore[arg-type]


def test_boxes_have_the_colour_of_their_class_and_a_label() -> None:
    canvas = grey()
    draw_boxes(canvas, objects(), THINGS, least_score=0.3)
    for y, x in ((175, 100), (175, 200), (100, 150), (250, 150)):
        assert tuple(canvas[y, x]) == RED
    assert (canvas[110:240, 110:190] == 100).all(), 'something inside the box'
    plate = canvas[85:98, 100:140]
    assert has(plate, RED) and (plate != RED).any()
    assert not has(canvas, GREEN), 'a box below the least score'


def test_labels_stay_inside_the_image() -> None:
    canvas = grey()
    boxes = np.array([[390.0, 0.0, 399.0, 20.0], [-50.0, -50.0, 1e9, np.nan]])
    draw_boxes(canvas, objects(boxes=boxes, scores=np.array([0.9, 0.8])), THINGS, least_score=0.3)
    assert (canvas[0:10, 330:399] == RED).all(axis=-1).sum() > 100


def test_masks_tint_their_pixels() -> None:
    masks = np.zeros((2, 300, 400), bool)
    masks[0, 120:140, 120:140] = True
    canvas = grey()
    draw_boxes(canvas, objects(masks=masks), THINGS, least_score=0.3)
    assert tuple(canvas[130, 130]) == (170, 55, 55)
    assert (canvas[150:240, 150:190] == 100).all()


# --- Classes ---------------------------------------------------------------------------------------


def test_the_caption_has_a_bar_as_long_as_the_score() -> None:
    found = Classes(np.array([2, 0]), np.array([0.75, 0.25]))
    drawn = add_caption(grey(), found, THINGS)
    assert (drawn[:300] == 100).all() and drawn.shape[0] > 330 and drawn.shape[1] == 400
    first = drawn[304]
    assert (first[295] != 255).any() and (first[305] == 255).all()
    assert (drawn[300:].min(axis=-1) < 50).any(), 'no text'


# --- Whole pictures --------------------------------------------------------------------------------


def test_small_images_are_enlarged_with_what_is_drawn() -> None:
    image = grey(150, 200)
    half = Poses(person().keypoints / 2, person().scores, None, np.ones(1))
    drawn = paint(image, [Layer('pose', half, PEOPLE)], least_score=0.3)
    assert drawn.shape == (300, 400, 3) and tuple(drawn[50, 100]) == YELLOW
    assert (image == 100).all(), 'the input was changed'
    assert [enlargement(grey(edge, 300)) for edge in (1, 127, 128, 255, 256, 2000)] == [6, 3, 2, 2, 1, 1]


def layers() -> list[Layer]:
    return [
        Layer('pose', person(), PEOPLE),
        Layer('segmentation', halves(), THINGS),
        Layer('detection', objects(), THINGS),
    ]


def test_an_overlay_has_everything_with_skeletons_on_top() -> None:
    drawn = paint(grey(), layers(), least_score=0.3, layout='overlay')
    assert drawn.shape[0] == 300 and drawn.shape[1] > 400
    assert tuple(drawn[50, 90]) == YELLOW
    assert tuple(drawn[175, 200]) == RED
    assert tuple(drawn[20, 20]) == (45, 45, 185)


def test_panels_show_the_image_and_each_task() -> None:
    drawn = paint(grey(), layers(), least_score=0.3, layout='panels')
    header = len(text_plate('image', size=strokes_for(grey()).text))
    assert drawn.shape[0] == 2 * (300 + header) + 4, 'two rows'
    assert (drawn[header : header + 300, :400] == 100).all(), 'the image first'
    second = drawn[header : header + 300, 404:804]
    assert tuple(second[50, 100]) == YELLOW


@pytest.mark.parametrize('layout', ['panels', 'overlay'])
def test_pictures_of_one_size_whatever_was_found(layout: str) -> None:
    nothing: list[Prediction] = [
        Poses(np.zeros((0, 3, 2)), np.zeros((0, 3)), np.zeros((0, 4)), np.zeros(0)),
        Labels(np.ones((300, 400), np.int64)),
        Boxes(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64)),
    ]
    empty = [Layer(each.title, found, each.metadata) for each, found in zip(layers(), nothing, strict=True)]
    full = paint(grey(), layers(), least_score=0.3, layout=layout)
    assert paint(grey(), empty, least_score=0.3, layout=layout).shape == full.shape


def test_strokes_grow_with_the_image() -> None:
    small, large = strokes_for(grey(300, 400)), strokes_for(grey(1500, 2000))
    assert small.line < large.line and small.joint < large.joint and small.text < large.text


def test_text_beyond_ascii_has_glyphs_and_long_text_is_cut() -> None:
    assert (text_plate('ä', size=20) != text_plate('ö', size=20)).any(), 'both the box of a missing glyph'
    cut = fitting_text('a very long name', size=20, width=80)
    assert cut.endswith('…') and text_plate(cut, size=20).shape[1] <= 80 + 8
    assert readable_on((250, 250, 0)) == (0, 0, 0) and readable_on((0, 0, 200)) == (255, 255, 255)


# --- Names and colours -----------------------------------------------------------------------------


def test_looks_fill_what_the_data_set_leaves_open() -> None:
    metadata = class_metadata({'classes': ('cat', 'dog'), 'palette': [(1, 2, 3)]}, count=4)
    assert metadata.names == ('cat', 'dog', 'class 2', 'class 3')
    assert metadata.colours[0] == (1, 2, 3) and len(set(metadata.colours)) == 4
    assert class_metadata({'palette': 'random'}, count=3).names == ('class 0', 'class 1', 'class 2')


def test_looks_of_people_come_from_the_data_set() -> None:
    meta = {
        'keypoint_id2name': {0: 'nose', 1: 'ear'},
        'keypoint_colors': np.array([[1, 2, 3], [4, 5, 6]]),
        'skeleton_links': [(0, 1)],
        'skeleton_link_colors': np.array([[7, 8, 9]]),
    }
    metadata = pose_metadata(meta, count=2)
    assert metadata == Metadata(('nose', 'ear'), ((1, 2, 3), (4, 5, 6)), ((0, 1),), ((7, 8, 9),))
    assert pose_metadata(meta, count=3).links == ()
