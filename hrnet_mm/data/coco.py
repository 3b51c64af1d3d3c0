"""Checks of a COCO annotation file, against what a config's data set makes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .coco_annotation import UNUSABLE, CocoRules, Known, Record, check_annotation, found, is_size, shown
from .findings import Finding


def check_coco(content: Mapping[str, list[Any]], rules: CocoRules) -> Iterator[Finding]:
    """Everything that is wrong with an annotation file.

    Args:
        content: What ``read_coco`` gave.
        rules: What is expected.
    """
    sizes: dict[Any, tuple[float, float] | None] = {}
    for index, image in enumerate(content['images']):
        yield from _check_image(image, index, sizes, rules)
    yield from _check_categories(content['categories'], rules)
    learned = _learned(content['categories'], rules)
    listed = {category.get('id') for category in content['categories']}
    known = Known(sizes=sizes, categories=listed, learned=learned)
    used: Counter[Any] = Counter()
    with_annotation = set()
    for index, annotation in enumerate(content['annotations']):
        wrong = list(check_annotation(annotation, index, known, rules))
        yield from wrong
        if not any(finding.kind in UNUSABLE for finding in wrong):
            used[annotation['category_id']] += 1
            with_annotation.add(annotation['image_id'])
    yield from _check_use(content, learned, used, with_annotation, rules)


def _check_image(
    image: Record, index: int, sizes: dict[Any, tuple[float, float] | None], rules: CocoRules
) -> Iterator[Finding]:
    item = f'image {image.get("id", f"number {index}")}'
    missing = [key for key in ('id', 'file_name', 'width', 'height') if key not in image]
    wrong = [key for key in ('width', 'height') if key in image and not is_size(image[key])]
    if missing:
        yield found('incomplete image record', rules, item, f'has no {", ".join(missing)}')
    for key in wrong:
        yield found(
            'incomplete image record', rules, item, f'{key} is {shown(image[key])}, no number of pixels'
        )
    if 'file_name' in image and not isinstance(image['file_name'], str):
        yield found('incomplete image record', rules, item, 'its file_name is no text')
    identity = image.get('id')
    if isinstance(identity, (list, dict)):
        yield found('incomplete image record', rules, item, 'its id is no number')
        return
    if identity in sizes:
        yield found('id given twice', rules, item, 'another image has this id')
    sizes[identity] = None if missing or wrong else (image['width'], image['height'])


def _check_categories(categories: Sequence[Record], rules: CocoRules) -> Iterator[Finding]:
    """mmdet numbers labels in the file's order: names and labels have to meet."""
    if rules.classes is None:
        return
    names = [category.get('name') for category in categories if category.get('name') in rules.classes]
    for label, name in enumerate(names):
        wanted = rules.classes[label] if label < len(rules.classes) else None
        if wanted != name:
            yield found(
                'classes in another order',
                rules,
                f'category {name!r}',
                f'would be learned as label {label}, which the config calls {wanted!r}; the '
                f'names in the config have to be in the order of the file: {_in_order(names)}',
            )
            return


def _in_order(names: Sequence[Any]) -> str:
    return ', '.join(map(str, names[:5])) + (', ...' if len(names) > 5 else '')


def _learned(categories: Sequence[Record], rules: CocoRules) -> set[Any]:
    return {
        category.get('id')
        for category in categories
        if rules.classes is None or category.get('name') in rules.classes
    }


def _check_use(
    content: Mapping[str, list[Any]],
    learned: set[Any],
    used: Counter[Any],
    with_annotation: set[Any],
    rules: CocoRules,
) -> Iterator[Finding]:
    if not rules.learns:
        return
    if not used:
        named = [category.get('name') for category in content['categories']]
        wanted = f'; the config learns {_in_order(rules.classes)}' if rules.classes else ''
        yield found(
            'no usable annotation',
            rules,
            '',
            f'none of {len(content["annotations"])} annotations can be learned (categories in the file: '
            f'{_in_order(named)}{wanted})',
        )
        return
    for category in content['categories']:
        if category.get('id') in learned and not used[category.get('id')]:
            yield found(
                'class without annotation', rules, f'category {category.get("name")!r}', 'none can be learned'
            )
    present = {category.get('name') for category in content['categories']}
    for name in rules.classes or ():
        if name not in present:
            yield found('class without annotation', rules, f'class {name!r}', 'the file has no such category')
    for image in content['images']:
        if image.get('id') not in with_annotation:
            yield found(
                'image without annotation', rules, f'image {image.get("id")}', 'none that can be learned'
            )
