"""The label tables of the drawn data, spelled as COCO and Cityscapes spell them."""

from __future__ import annotations

from typing import Final

#: Cityscapes train ids (of 0..18) that the scenes use; 255 would mean "ignore" and never occurs.
TRAIN_IDS: Final[dict[str, int]] = {
    'road': 0,
    'sidewalk': 1,
    'building': 2,
    'pole': 5,
    'vegetation': 8,
    'sky': 10,
    'person': 11,
    'car': 13,
}
#: COCO category id of every class that is annotated as an instance.
COCO_IDS: Final[dict[str, int]] = {'person': 1, 'car': 3}

_JOINTS = ('eye', 'ear', 'shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle')
KEYPOINTS = ('nose', *(f'{side}_{joint}' for joint in _JOINTS for side in ('left', 'right')))

#: COCO's links between keypoints, counted from 1 as in its JSON files.
SKELETON: tuple[tuple[int, int], ...] = (
    (16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9),
    (8, 10), (9, 11), (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7),
)  # fmt: skip

#: COCO's 80 categories: supercategory, then official ids and names; ids skip the 11 unused ones.
_CATEGORIES = """\
person: 1 person
vehicle: 2 bicycle, 3 car, 4 motorcycle, 5 airplane, 6 bus, 7 train, 8 truck, 9 boat
outdoor: 10 traffic light, 11 fire hydrant, 13 stop sign, 14 parking meter, 15 bench
animal: 16 bird, 17 cat, 18 dog, 19 horse, 20 sheep, 21 cow, 22 elephant, 23 bear, 24 zebra, 25 giraffe
accessory: 27 backpack, 28 umbrella, 31 handbag, 32 tie, 33 suitcase
sports: 34 frisbee, 35 skis, 36 snowboard, 37 sports ball, 38 kite, 39 baseball bat, 40 baseball glove, \
41 skateboard, 42 surfboard, 43 tennis racket
kitchen: 44 bottle, 46 wine glass, 47 cup, 48 fork, 49 knife, 50 spoon, 51 bowl
food: 52 banana, 53 apple, 54 sandwich, 55 orange, 56 broccoli, 57 carrot, 58 hot dog, 59 pizza, 60 donut, \
61 cake
furniture: 62 chair, 63 couch, 64 potted plant, 65 bed, 67 dining table, 70 toilet
electronic: 72 tv, 73 laptop, 74 mouse, 75 remote, 76 keyboard, 77 cell phone
appliance: 78 microwave, 79 oven, 80 toaster, 81 sink, 82 refrigerator
indoor: 84 book, 85 clock, 86 vase, 87 scissors, 88 teddy bear, 89 hair drier, 90 toothbrush"""


def instance_categories() -> list[dict[str, object]]:
    """COCO's `categories` list of the detection files: all 80, in the official order."""
    categories: list[dict[str, object]] = []
    for line in _CATEGORIES.splitlines():
        group, _, members = line.partition(': ')
        for number, _, name in (member.partition(' ') for member in members.split(', ')):
            categories.append({'supercategory': group, 'id': int(number), 'name': name})
    return categories


def person_categories() -> list[dict[str, object]]:
    """COCO's `categories` list of the keypoint files: the person alone."""
    skeleton = [list(link) for link in SKELETON]
    return [{**instance_categories()[0], 'keypoints': list(KEYPOINTS), 'skeleton': skeleton}]
