"""What mmpose wants to know of keypoints, from a COCO file: names, mirrored pairs, limbs, sigmas."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Final

from mmengine.config import Config

from ..config.errors import ConfigError
from ..config.files import find_config
from ..pictures.metadata import distinct_colours
from ..utils import listed

#: For keypoints whose sigma nobody measured; COCO's go from 0.025 for eyes to 0.107 for hips.
EVEN_SIGMA: Final = 0.05
_OTHER_SIDE: Final = {'left': 'right', 'right': 'left', 'l': 'r', 'r': 'l'}
#: Where names tell the side: the word anywhere, or one letter between separators, before or after a capital.
_SIDES: Final = (r'left|right', r'(?<![a-z])[lr](?![a-z])', r'^[LR](?=[A-Z])|(?<=[a-z0-9])[LR]$')
_FLAGS: Final = (re.IGNORECASE, re.IGNORECASE, 0)

Notes = list[tuple[str, str]]


def pose_metainfo(
    categories: Sequence[Mapping[str, Any]], annotations: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, Any], Notes]:
    """A data set's ``metainfo``, empty where the keypoints are COCO's 17 in its order, and what to say of it.

    Raises:
        ConfigError: categories have different keypoints, or annotations another number than there are names.
    """
    names = _names(categories, annotations)
    coco = Config.fromfile(find_config('mmpose::_base_/datasets/coco.py')).dataset_info
    known = {point['name']: (point, coco['sigmas'][k]) for k, point in coco['keypoint_info'].items()}
    if names == list(known):
        return {}, [('keypoints', "COCO's 17, with its skeleton and sigmas")]
    pairs = mirrored_pairs(names)
    limbs = [tuple(limb) for limb in categories[0].get('skeleton') or ()]
    least = 0 if 0 in chain(*limbs) else 1  # COCO's count from 1
    numbered = dict(enumerate(names, start=least))
    links = [(numbered[a], numbered[b]) for a, b in limbs if {a, b} <= numbered.keys()]
    colours = distinct_colours(len(names))
    metainfo = dict(
        dataset_name=re.sub(r'\W+', '_', str(categories[0]['name'])),
        keypoint_info={
            k: dict(
                name=name,
                id=k,
                color=list(colours[k]),
                type=known[name][0]['type'] if name in known else '',
                swap=pairs.get(name, ''),
            )
            for k, name in enumerate(names)
        },
        skeleton_info={k: dict(link=link, id=k) for k, link in enumerate(links)},
        joint_weights=[1.0] * len(names),
        sigmas=[known[name][1] if name in known else EVEN_SIGMA for name in names],
    )
    even = [name for name in names if name not in known]
    sigmas = f"{EVEN_SIGMA} for {listed(even)} (how far people's clicks spread is not known)" if even else ''
    return metainfo, [
        ('keypoints', f'{len(names)}: {listed(names)}; {len(links)} of {len(limbs)} limbs'),
        (
            'mirrored',
            ', '.join(f'{a}-{b}' for a, b in pairs.items() if a < b) or 'no names of a left and a right',
        ),
        ('sigmas', '; '.join(text for text in ("COCO's" if len(even) < len(names) else '', sigmas) if text)),
    ]


def mirrored_pairs(names: Sequence[str]) -> dict[str, str]:
    """Keypoint -> the one that takes its place in a mirror, both ways, for those whose names tell."""
    pairs = {}
    for name in names:
        others = (
            re.sub(pattern, _other, name, flags=flags) for pattern, flags in zip(_SIDES, _FLAGS, strict=True)
        )
        other = next((other for other in others if other != name and other in names), None)
        if other:
            pairs[name] = other
    return pairs


def _other(side: re.Match[str]) -> str:
    word = _OTHER_SIDE[side[0].lower()]
    if side[0].isupper():
        return word.upper()
    return word.capitalize() if side[0][0].isupper() else word


def _names(categories: Sequence[Mapping[str, Any]], annotations: Sequence[Mapping[str, Any]]) -> list[str]:
    lists = {tuple(map(str, category.get('keypoints') or ())) for category in categories}
    if len(lists) > 1:
        words = '; '.join(f'{c["name"]}: {listed(list(c.get("keypoints") or ()))}' for c in categories)
        expected = 'one set of keypoints for all; write a file for each'
        raise ConfigError(key='categories', value=words, expected=expected)
    names = list(lists.pop())
    counts = Counter(len(a['keypoints']) // 3 for a in annotations if a.get('keypoints'))
    count = counts.most_common(1)[0][0]
    if names and len(names) != count:
        expected = f'{count} names, as many as the annotations have keypoints'
        raise ConfigError(key='categories.keypoints', value=names, expected=expected)
    return [name if names.count(name) == 1 else f'{name}_{k}' for k, name in enumerate(names, 1)] or [
        f'point_{k}' for k in range(1, count + 1)
    ]
