"""A single scene: its labels agree with each other and with an independent reading of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrnet_mm.demo import TRAIN_IDS, Scene, draw_scene
from hrnet_mm.demo.body import Limb, Pose, pose_points
from hrnet_mm.demo.canvas import SceneCanvas
from hrnet_mm.demo.scene import MIN_AREA


def scene(seed: int, size: tuple[int, int] = (192, 320), people: tuple[int, int] = (1, 6)) -> Scene:
    return draw_scene(np.random.default_rng(seed), size=size, people=people)


def check(drawn: Scene, size: tuple[int, int], people: tuple[int, int]) -> None:
    assert drawn.image.shape == (*size, 3) and drawn.image.dtype == drawn.semantic.dtype == np.uint8
    assert drawn.semantic.shape == size and set(np.unique(drawn.semantic)) <= set(TRAIN_IDS.values())
    assert sum(instance.category == 'person' for instance in drawn.instances) <= people[1]
    for category in ('person', 'car'):
        masks = [instance.mask for instance in drawn.instances if instance.category == category]
        count = np.sum(masks, axis=0) if masks else np.zeros(size, int)
        # disjoint, and exactly the class's pixels
        np.testing.assert_array_equal(count, drawn.semantic == TRAIN_IDS[category])
    for instance in drawn.instances:
        rows, columns = np.nonzero(instance.mask)
        x, y, width, height = instance.bbox
        assert (x, y) == (columns.min(), rows.min())
        assert (x + width - 1, y + height - 1) == (columns.max(), rows.max())
        assert instance.area == len(rows) >= MIN_AREA
        assert (instance.keypoints is None) == (instance.category == 'car')
        if instance.keypoints is not None:
            check_keypoints(instance.keypoints, instance.mask)


def check_keypoints(keypoints: np.ndarray, mask: np.ndarray) -> None:
    assert keypoints.shape == (17, 3) and set(keypoints[:, 2]) <= {0, 1, 2}
    np.testing.assert_array_equal(keypoints[keypoints[:, 2] == 0], 0)
    x, y = np.rint(keypoints[keypoints[:, 2] > 0, :2]).astype(int).T
    assert (x >= 0).all() and (y >= 0).all() and (x < mask.shape[1]).all() and (y < mask.shape[0]).all()
    x, y = np.rint(keypoints[keypoints[:, 2] == 2, :2]).astype(int).T
    assert mask[y, x].all()


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    size=st.tuples(st.integers(96, 260), st.integers(96, 400)),
    people=st.tuples(st.integers(0, 4), st.integers(4, 12)),
)
def test_labels_agree_at_any_size(seed, size, people):
    check(scene(seed, size, people), size, people)


def test_a_crowd_of_the_largest_size_and_nobody():
    check(scene(3, people=(40, 40)), (192, 320), (40, 40))
    assert TRAIN_IDS['person'] not in scene(0, people=(0, 0)).semantic


def test_scenes_are_balanced_enough_to_learn_from():
    """Every class is in nearly every scene, people are mostly large enough and mostly seen."""
    scenes = [scene(seed) for seed in range(30)]
    for name, train_id in TRAIN_IDS.items():
        share = np.mean([np.mean(drawn.semantic == train_id) for drawn in scenes])
        present = np.mean([train_id in drawn.semantic for drawn in scenes])
        assert share > 0.02 and present > 0.7, name
    people = [one for drawn in scenes for one in drawn.instances if one.keypoints is not None]
    heights = [person.bbox[3] for person in people]
    assert np.percentile(heights, 10) > 60 and np.percentile(heights, 90) < 180
    visible = np.concatenate([person.keypoints[:, 2] for person in people])
    assert 0.6 < np.mean(visible == 2) < 0.95
    assert np.mean(visible == 1) > 0.05


def test_a_person_facing_the_viewer_has_their_left_on_the_right_of_the_picture():
    limb = Limb(swing=(0, 0), spread=(10, 10))

    def left_wrist(yaw: float) -> np.ndarray:
        pose = Pose(yaw=yaw, head_yaw=yaw, lean=0, arms=(limb, limb), legs=(limb, limb))
        return pose_points(pose)['left_wrist']

    assert left_wrist(0)[0] > 0.1 and left_wrist(180)[0] < -0.1
    # someone who walks to the right of the picture shows their right side: the left one is far
    assert left_wrist(90)[2] < -0.1


def test_picture_and_labels_are_drawn_in_the_same_place():
    canvas = SceneCanvas((40, 60))
    # from edge to edge of the sub-pixels that make up pixels 10..19 and 20..29
    canvas.box(9.67, 19.67, 19.33, 29.33, (255, 255, 255), 7)
    canvas.ellipse((45, 15), (6, 4), (255, 255, 255), 9)
    image, codes = canvas.smooth_image(), canvas.crisp_codes()
    np.testing.assert_array_equal(image[..., 0] > 127, codes > 0)
    rows, columns = np.nonzero(codes == 7)
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (10, 20, 19, 29)
    rows, columns = np.nonzero(codes == 9)
    assert (columns.mean(), rows.mean()) == pytest.approx((45, 15))
    for centre in ((-50, 5), (5, -50), (100, 5), (5, 70)):  # shadows outside the picture
        canvas.darken(centre, (8, 8), 0.5)
    np.testing.assert_array_equal(image, canvas.smooth_image())
