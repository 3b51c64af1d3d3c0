"""What is planted appears in its colour at its place, and nowhere else; nothing covers what must be read."""

from __future__ import annotations

from itertools import combinations

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from pixels import BLUE, GREEN, GREY, RED, extent, flat, is_colour

from hrnet_mm.pictures import painter
from hrnet_mm.pictures.canvas import (
    enlargement,
    fitting_text,
    readable_on,
    sizes_for,
    text_plate,
    text_width,
    wrap,
)
from hrnet_mm.pictures.metadata import (
    Colour,
    Metadata,
    class_metadata,
    data_set_meta,
    distinct_colours,
    pose_metadata,
)
from hrnet_mm.pictures.painter import Layer, paint, paint_pair
from hrnet_mm.pictures.predictions import Boxes, Classes, Labels, Poses, Prediction, together

YELLOW, CYAN = (255, 255, 0), (0, 255, 255)
PEOPLE = Metadata(
    names=('head', 'hand', 'foot'),
    colours=(RED, GREEN, BLUE),
    links=((0, 1), (0, 2)),
    link_colours=(YELLOW, CYAN),
)
THINGS = Metadata(names=('sky', 'road', 'car'), colours=(BLUE, GREEN, RED))
HEIGHT, WIDTH = 300, 400


def grey(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return flat(GREY, size=(height, width))


def has(image: np.ndarray, colour: Colour) -> bool:
    return bool((image == colour).all(axis=-1).any())


def mixed(colour: Colour) -> Colour:
    return tuple(round((a + b) / 2) for a, b in zip(GREY, colour, strict=True))  # type: ignore[return-value]


def painted(prediction: Prediction, metadata: Metadata, *, least_score: float = 0.3) -> np.ndarray:
    """The image itself, without what is beside it."""
    layers = [Layer('x', prediction, metadata)]
    return paint(grey(), layers, least_score=least_score)[:HEIGHT, :WIDTH]


# --- People ----------------------------------------------------------------------------------------


def person(scores: tuple[float, float, float] = (0.9, 0.9, 0.9)) -> Poses:
    points = np.array([[[50.0, 50.0], [150.0, 50.0], [50.0, 250.0]]])
    return Poses(points, np.array([scores]), np.array([[0.0, 0.0, 200.0, 300.0]]), np.ones(1))


def test_limbs_and_joints_have_their_colours() -> None:
    canvas = painted(person(), PEOPLE)
    assert tuple(canvas[50, 100]) == YELLOW and tuple(canvas[150, 50]) == CYAN
    assert [tuple(canvas[y, x]) for x, y in ((50, 50), (150, 50), (50, 250))] == [RED, GREEN, BLUE]
    assert (canvas[:, 200:] == GREY).all()


def test_keypoints_of_low_score_and_impossible_places_are_left_out_with_their_limbs() -> None:
    canvas = painted(person(scores=(0.9, 0.29, 0.3)), PEOPLE)
    assert not has(canvas, GREEN) and not has(canvas, YELLOW)
    assert has(canvas, RED) and has(canvas, BLUE) and has(canvas, CYAN)
    people = person()
    people.keypoints[0, 1:] = [(np.nan, 0), (1e30, -1e30)]
    assert tuple(painted(people, PEOPLE)[50, 50]) == RED


def test_a_face_of_many_keypoints_can_be_seen() -> None:
    """68 keypoints on a ring of 20 pixels' radius leave its inside free; alone, a joint is as ever."""
    angles = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    ring = 150 + 20 * np.stack([np.cos(angles), np.sin(angles)], 1)
    points = np.concatenate([ring, [[300.0, 150.0]]])[None]
    canvas = painted(Poses(points, np.ones((1, 69)), None, np.ones(1)), pose_metadata({}, count=69))
    changed = (canvas != GREY).any(axis=-1)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    assert not changed[np.hypot(x - 150, y - 150) < 17].any()
    left, _, right, _ = extent(changed[:, 250:])
    assert right - left >= 2 * sizes_for(canvas).joint


def test_an_empty_picture_says_so() -> None:
    nobody, unsure = together([], keypoints=3), person(scores=(0.1, 0.1, 0.1))
    texts = [painted(each, PEOPLE) for each in (nobody, unsure, person())]
    plates = [(is_colour(each, (255, 255, 160), 0)).sum() for each in texts]
    assert plates[0] > 300 and plates[1] > 1.5 * plates[0] and plates[2] == 0
    nothing = Boxes(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))
    assert is_colour(painted(nothing, THINGS), (255, 255, 160), 0).any()


# --- Label maps ------------------------------------------------------------------------------------


def halves(left: int = 0, right: int = 2) -> Labels:
    labels = np.full((HEIGHT, WIDTH), left, np.int64)
    labels[:, 200:] = right
    return Labels(labels)


def test_classes_are_mixed_in_at_their_places() -> None:
    canvas = painted(halves(), THINGS, least_score=1.0)
    assert tuple(canvas[150, 100]) == mixed(BLUE) and tuple(canvas[150, 300]) == mixed(RED)
    assert (canvas[:, 199] < canvas[:, 100]).any(), 'no line between the classes'


@pytest.mark.parametrize(
    ('name', 'colour'), [('background', (60, 60, 60)), ('Background', RED), ('other', (0, 0, 0))]
)
def test_a_background_does_not_turn_the_photo_to_night(name: str, colour: Colour) -> None:
    metadata = Metadata(names=(name, 'road', 'car'), colours=(colour, GREEN, RED))
    drawn = paint(grey(), [Layer('x', halves(), metadata)], least_score=0.3)
    assert (drawn[:, :199] == GREY).all() and tuple(drawn[150, 300]) == mixed(RED)
    assert (drawn[:100, WIDTH:] < 100).any(), 'but it stands in the legend'


def test_ignored_pixels_and_values_that_are_no_class_are_striped() -> None:
    canvas = painted(halves(left=-1, right=9), THINGS)
    for half, colours in (
        (canvas[:, :199], ((0, 0, 0), (255, 255, 255))),
        (canvas[:, 201:], (RED, (255, 255, 255))),
    ):
        stripes = [is_colour(half, mixed(colour), 1) for colour in colours]
        assert (stripes[0] | stripes[1]).all() and 0.4 < stripes[0].mean() < 0.6


def test_the_legend_shows_the_classes_present_alone_the_largest_first() -> None:
    labels = halves()
    labels.labels[:, 150:200] = 2
    legend = paint(grey(), [Layer('x', labels, THINGS)], least_score=0.3)[:, WIDTH:]
    assert not has(legend, GREEN)
    red, blue = (np.argwhere((legend == colour).all(axis=-1))[:, 0].min() for colour in (RED, BLUE))
    assert red < blue


def test_names_that_have_room_are_not_cut() -> None:
    """A legend is as wide as its longest name, up to a share of the image's width."""
    labels = Labels(np.zeros((1200, 3000), np.int64))
    widths = []
    for name in ('way', 'crossroads of a town', 'crossroads ' * 20):
        layer = Layer('x', labels, Metadata(names=(name,), colours=(RED,)))
        widths.append(paint(grey(1200, 3000), [layer], least_score=0.3).shape[1] - 3000)
    size = sizes_for(grey(1200, 3000)).text
    assert widths[1] >= text_width('crossroads of a town 100.0%', size=size) + 2 * size > widths[0]
    assert widths[2] < 0.4 * 3000 + 8 * size


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
    canvas = painted(objects(), THINGS)
    for y, x in ((175, 100), (175, 200), (100, 150), (250, 150)):
        assert tuple(canvas[y, x]) == RED
    assert (canvas[110:240, 110:190] == GREY).all(), 'something inside the box'
    plate = canvas[85:98, 100:140]
    assert has(plate, RED) and (plate != RED).any()
    assert not has(canvas, GREEN), 'a box below the least score'


def test_true_boxes_have_no_score_and_are_never_left_out() -> None:
    widths = []
    for scores in (np.full(2, np.nan), np.full(2, 0.9)):
        canvas = painted(objects(scores=scores), THINGS, least_score=0.5)
        widths.append(is_colour(canvas[84:98], RED, 0).any(axis=0).sum())
    assert widths[1] - widths[0] == pytest.approx(text_width(' 0.90', size=12) - 4, abs=2)


def test_labels_stay_inside_the_image() -> None:
    boxes = np.array([[390.0, 0.0, 399.0, 20.0], [-50.0, -50.0, 1e9, np.nan]])
    canvas = painted(objects(boxes=boxes, scores=np.array([0.9, 0.8])), THINGS)
    plate = text_width('car 0.90', size=12)
    assert is_colour(canvas[:40, WIDTH - plate : 388], RED, 0).sum() > 5 * (plate - 12), 'a label cut off'


def test_labels_do_not_cover_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of boxes in one place: as many labels as have room, the surest first."""
    placed: list[tuple[int, int, int, int]] = []

    def record(canvas: np.ndarray, piece: np.ndarray, *, left: int, top: int) -> None:
        placed.append((left, top, left + piece.shape[1], top + piece.shape[0]))

    monkeypatch.setattr(painter, 'paste', record)
    rng = np.random.default_rng(0)
    boxes = np.tile([100.0, 100.0, 220.0, 260.0], (12, 1)) + rng.normal(0, 3, (12, 4))
    painted(objects(boxes=boxes, scores=np.linspace(0.9, 0.5, 12), labels=np.arange(12) % 3), THINGS)
    assert len(placed) == 12
    for one, other in combinations(placed, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
    assert placed[0][3] == pytest.approx(100, abs=8), 'the surest has its label above its box'


def test_masks_tint_their_pixels_within_an_outline() -> None:
    masks = np.zeros((2, HEIGHT, WIDTH), bool)
    masks[0, 120:140, 120:150] = True
    canvas = painted(objects(masks=masks), THINGS)
    assert (canvas[121:139, 121:149] == mixed(RED)).all()
    assert (canvas[120, 120:150] == RED).all() and (canvas[120:140, 149] == RED).all()
    assert (canvas[150:240, 150:190] == GREY).all()


# --- Classes ---------------------------------------------------------------------------------------


def test_the_caption_has_a_bar_as_long_as_the_score() -> None:
    drawn = paint(
        grey(), [Layer('x', Classes(np.array([2, 0]), np.array([0.75, 0.25])), THINGS)], least_score=0.3
    )
    assert (drawn[:HEIGHT] == GREY).all() and drawn.shape[0] > 330 and drawn.shape[1] == WIDTH
    first = drawn[304]
    assert (first[295] != 255).any() and (first[305] == 255).all()
    assert (drawn[HEIGHT:].min(axis=-1) < 50).any(), 'no text'


# --- Whole pictures --------------------------------------------------------------------------------


def test_small_images_are_enlarged_with_what_is_drawn_unless_they_are_a_videos() -> None:
    image = grey(150, 200)
    half = Poses(person().keypoints / 2, person().scores, None, np.ones(1))
    layer = Layer('pose', half, PEOPLE)
    drawn = paint(image, [layer], least_score=0.3)
    assert drawn.shape == (300, 400, 3) and tuple(drawn[50, 100]) == YELLOW
    assert (image == GREY).all(), 'the input was changed'
    frame = paint(image, [layer], least_score=0.3, enlarge_small=False)
    assert frame.shape == (150, 200, 3) and tuple(frame[25, 50]) == YELLOW
    assert [enlargement(grey(edge, 300)) for edge in (1, 127, 128, 255, 256, 2000)] == [6, 3, 2, 2, 1, 1]
    assert sizes_for(grey(300, 400)) < sizes_for(grey(1500, 2000)), 'strokes do not grow with the image'


def layers() -> list[Layer]:
    return [
        Layer('pose', person(), PEOPLE),
        Layer('segmentation', halves(), THINGS),
        Layer('detection', objects(), THINGS),
    ]


def test_an_overlay_has_everything_with_skeletons_on_top_and_panels_each_task() -> None:
    drawn = paint(grey(), layers(), least_score=0.3, layout='overlay')
    assert drawn.shape[0] == HEIGHT and drawn.shape[1] > WIDTH
    assert tuple(drawn[50, 90]) == YELLOW and tuple(drawn[175, 200]) == RED
    assert tuple(drawn[20, 20]) == mixed(BLUE)
    drawn, sizes = paint(grey(), layers(), least_score=0.3, layout='panels'), sizes_for(grey())
    header = len(text_plate('image', size=sizes.text))
    assert drawn.shape[0] == 2 * (HEIGHT + header) + sizes.gap, 'two rows'
    assert (drawn[header : header + HEIGHT, :WIDTH] == GREY).all(), 'the image first'
    assert has(drawn[: header + HEIGHT, WIDTH + sizes.gap :], YELLOW), 'then the people'


@pytest.mark.parametrize('layout', ['panels', 'overlay'])
def test_pictures_of_one_size_whatever_was_found(layout: str) -> None:
    nothing: list[Prediction] = [
        together([], keypoints=3),
        Labels(np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 3),
        Boxes(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64)),
    ]
    empty = [Layer(each.title, found, each.metadata) for each, found in zip(layers(), nothing, strict=True)]
    full = paint(grey(), layers(), least_score=0.3, layout=layout)
    assert paint(grey(), empty, least_score=0.3, layout=layout).shape == full.shape


def test_truth_and_prediction_stand_side_by_side_with_a_gap_and_a_caption_each() -> None:
    truth, found = Layer('', halves(), THINGS), Layer('', halves(left=2, right=0), THINGS)
    pair = paint_pair(grey(), [truth], [found], least_score=0.3)
    sizes = sizes_for(grey())
    header = len(text_plate('x', size=sizes.text))
    left, gap, right, legend = np.split(pair, np.cumsum([WIDTH, sizes.gap, WIDTH]), axis=1)
    assert tuple(left[header:][150, 100]) == mixed(BLUE) and tuple(right[header:][150, 100]) == mixed(RED)
    assert (gap == 255).all() and sizes.gap >= 8
    assert (left[:header] < 100).any() and (right[:header] < 100).any()
    assert (left[:header] != right[:header]).any(), 'one caption for both'
    assert has(legend, BLUE) and has(legend, RED), 'one legend for both'


# --- Text ------------------------------------------------------------------------------------------


def test_text_beyond_ascii_has_glyphs_and_long_text_is_cut_or_broken() -> None:
    assert (text_plate('ä', size=20) != text_plate('ö', size=20)).any(), 'both the box of a missing glyph'
    cut = fitting_text('a very long name', size=20, width=80)
    assert cut.endswith('…') and text_plate(cut, size=20).shape[1] <= 80
    assert readable_on((250, 250, 0)) == (0, 0, 0) and readable_on((0, 0, 200)) == (255, 255, 255)
    text = 'a few short words and onethatiswaytoolongforanylineofthiswidth café 猫'
    lines = wrap(text, size=12, width=90)
    assert max(text_width(line, size=12) for line in lines) <= 90
    assert ''.join(lines).replace(' ', '') == text.replace(' ', '')


# --- Names and colours -----------------------------------------------------------------------------


def far_apart(colours: tuple[Colour, ...]) -> float:
    """The least distance of two, in CIELAB; 2.3 is just noticeable."""
    lab = cv2.cvtColor(np.array([colours], np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
    return min(float(np.linalg.norm(one - other)) for one, other in combinations(lab, 2))


def test_own_classes_have_colours_far_apart() -> None:
    for count, least in ((2, 100), (8, 50), (20, 25), (80, 9)):
        assert far_apart(class_metadata({}, count=count).colours) > least
    assert distinct_colours(30)[:10] == distinct_colours(10)


COCO = [(220, 20, 60), (119, 11, 32), *((0, 0, index) for index in range(78))]


@pytest.mark.parametrize(
    'palette', [COCO, 'random', [(1, 2, 3)], np.random.RandomState(42).randint(0, 255, (2, 3)).tolist()]
)
def test_colours_that_are_not_of_these_classes_are_not_taken(palette: object) -> None:
    """COCO's, none, too few, and what mmseg draws at random."""
    metadata = class_metadata({'classes': ('cat', 'dog'), 'palette': palette}, count=2)
    assert metadata == Metadata(('cat', 'dog'), distinct_colours(2))


def test_names_and_colours_of_classes() -> None:
    own = class_metadata({'classes': ('cat', 'dog'), 'palette': [RED, BLUE]}, count=4)
    assert own.names == ('cat', 'dog', 'class 2', 'class 3')
    assert own.colours[:2] == (RED, BLUE) and len(set(own.colours)) == 4
    assert [own.name(label) for label in (0, -1, 7)] == ['cat', 'ignored', '7: NO CLASS']
    unknown = class_metadata({'palette': 'random'})
    assert (unknown.name(3), unknown.knows(3), len(unknown.names)) == ('class 3', True, 0)


def test_names_and_colours_of_people_come_from_the_data_set() -> None:
    meta = {
        'keypoint_id2name': {0: 'nose', 1: 'ear'},
        'keypoint_colors': np.array([[1, 2, 3], [4, 5, 6]]),
        'skeleton_links': [(0, 1)],
        'skeleton_link_colors': np.array([[7, 8, 9]]),
    }
    metadata = pose_metadata(meta, count=2)
    assert metadata == Metadata(('nose', 'ear'), ((1, 2, 3), (4, 5, 6)), ((0, 1),), ((7, 8, 9),))
    assert pose_metadata(meta, count=3).links == ()


def test_own_keypoints_take_the_place_of_the_data_sets() -> None:
    """As in mmpose, whose CocoDataset else brings COCO's seventeen."""
    info = {
        i: {'name': n, 'id': i, 'color': [0, 0, 0], 'type': '', 'swap': ''}
        for i, n in enumerate(('wrist', 'thumb'))
    }
    own = {'dataset_name': 'hands', 'keypoint_info': info, 'skeleton_info': {}}
    own |= {'joint_weights': [1.0] * 2, 'sigmas': [0.05] * 2}
    for metainfo, count in ((own, 2), (None, 17)):
        data = {'type': 'CocoDataset', **({'metainfo': metainfo} if metainfo else {})}
        cfg = Config({'default_scope': 'mmpose', 'test_dataloader': {'dataset': data}})
        assert len(data_set_meta(cfg, checkpoint_meta={})['keypoint_id2name']) == count
