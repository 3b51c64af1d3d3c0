"""What can be wrong with data, how bad each kind is, and what a run makes of it: one table.

A new kind is a row of ``KINDS`` and a function that yields its ``Finding``: in ``coco.FILE_CHECKS`` or
``coco.ANNOTATION_CHECKS``, in ``images.check_file`` or ``images.check_image``, in
``label_maps.check_label_map``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, NamedTuple

#: Findings of one kind that are kept; more are counted.
KEPT = 10_000


class Severity(Enum):
    """How bad a finding is, worst first."""

    STOPS = 'stops the run at its start'
    LEFT_OUT = 'the sample is left out of training, a test stops there'
    MISLEADS = 'the run goes on, and its results are wrong'
    HANDLED = 'handled'
    NOTE = 'worth knowing'

    @property
    def is_damage(self) -> bool:
        """Whether something has to be mended."""
        return self not in (Severity.HANDLED, Severity.NOTE)

    @property
    def is_told(self) -> bool:
        """Whether a run goes on and says at its start what it makes of it."""
        return self in (Severity.MISLEADS, Severity.HANDLED)


@dataclass(frozen=True)
class FaultKind:
    """One kind of fault."""

    severity: Severity
    effect: str = ''  # what a run does with it, where the severity does not say all
    unlearned: bool = False  # whether an annotation with it is not learned
    testable: bool = False  # whether metrics cope with it, so that it does not stop a test


STOPS, LEFT_OUT, MISLEADS, HANDLED, NOTE = Severity
_NOT_LEARNED = 'the annotation is not learned'
KINDS: Final[dict[str, FaultKind]] = {
    # annotation files
    'unreadable annotations': FaultKind(STOPS),
    'no usable annotation': FaultKind(STOPS),
    'incomplete image record': FaultKind(STOPS),
    'incomplete annotation': FaultKind(STOPS, unlearned=True),
    'id given twice': FaultKind(STOPS),
    'no finite number': FaultKind(STOPS, unlearned=True),
    'wrong number of keypoints': FaultKind(STOPS, unlearned=True),
    'wrong visibility': FaultKind(STOPS, unlearned=True),
    'keypoints as fractions': FaultKind(STOPS),
    'classes in another order': FaultKind(STOPS),
    'class not in the file': FaultKind(STOPS),
    'incomplete for the metric': FaultKind(STOPS),
    'unusable detections': FaultKind(STOPS),
    'another file than the metric': FaultKind(STOPS),
    'label of no class': FaultKind(STOPS),
    'no segmentation': FaultKind(STOPS, unlearned=True),
    'malformed segmentation': FaultKind(STOPS, unlearned=True),
    'fewer images than the metric': FaultKind(MISLEADS, 'the metric counts what is left out as missed'),
    'annotation id 0': FaultKind(MISLEADS, 'the metric counts what is found of it as false'),
    'area 0': FaultKind(MISLEADS, 'the metric divides by the area: no keypoint is near enough'),
    'boxes by their corners': FaultKind(MISLEADS, 'boxes are [x, y, width, height] in COCO'),
    'category not in the config': FaultKind(HANDLED, _NOT_LEARNED, unlearned=True),
    'category not listed': FaultKind(HANDLED, 'in pose it is learned like any other'),
    'unknown image': FaultKind(HANDLED, _NOT_LEARNED, unlearned=True),
    'box of no size': FaultKind(HANDLED, _NOT_LEARNED, unlearned=True),
    'box outside the image': FaultKind(HANDLED, _NOT_LEARNED, unlearned=True),
    'keypoint outside the image': FaultKind(
        HANDLED, 'it has no target unless the crop reaches beyond the image to it'
    ),
    'no keypoints': FaultKind(NOTE, _NOT_LEARNED, unlearned=True),
    'image without annotation': FaultKind(NOTE, 'of use as background, where the config keeps it'),
    'class without annotation': FaultKind(NOTE, 'nothing to learn it from'),
    # files of images
    'missing image': FaultKind(STOPS),
    'unreadable image': FaultKind(LEFT_OUT),
    'too large image': FaultKind(LEFT_OUT, 'it is not decoded'),
    'truncated image': FaultKind(LEFT_OUT),
    'images of other suffixes': FaultKind(HANDLED, 'they are left out'),
    'image of another size': FaultKind(LEFT_OUT, 'in pose: trained on as it is', testable=True),
    '16-bit image': FaultKind(HANDLED, 'reduced to 8 bits'),
    'grey image': FaultKind(HANDLED, 'the one channel is repeated'),
    'CMYK image': FaultKind(HANDLED, 'converted to RGB'),
    'image with a palette': FaultKind(HANDLED, 'converted to RGB'),
    'image with transparency': FaultKind(HANDLED, 'the transparency is dropped'),
    'EXIF-rotated image': FaultKind(
        HANDLED, 'turned upright: annotations have to refer to the upright image'
    ),
    # label maps
    'missing label map': FaultKind(STOPS),
    'unreadable label map': FaultKind(LEFT_OUT),
    'label map of another size': FaultKind(LEFT_OUT),
    'label map with channels': FaultKind(LEFT_OUT),
    '16-bit label map': FaultKind(LEFT_OUT, 'the loader would keep the lower 8 bits alone'),
    'binary label maps': FaultKind(STOPS),
    'label maps from 1': FaultKind(STOPS),
    'class without a pixel': FaultKind(HANDLED, 'nothing to learn it from'),
    'unexpected class id': FaultKind(LEFT_OUT, testable=True),
}


class Finding(NamedTuple):
    """One thing that is wrong. Checks say what; whoever calls them knows where, see ``at``."""

    kind: str  # a key of KINDS
    reason: str  # what is wrong, in words
    file: str = ''
    item: str = ''  # what in the file: 'annotation 17'; empty for the file as a whole

    def at(self, file: str, item: str = '') -> Finding:
        """The same in its place."""
        return self._replace(file=file, item=item)

    def __str__(self) -> str:
        return f'{self.file}{", " + self.item if self.item else ""}: {self.reason}'


@dataclass
class DataReport:
    """What was looked at, and what was found."""

    images: int = 0
    label_maps: int = 0
    annotations: int = 0
    files: set[str] = field(default_factory=set)  # annotation files
    counts: Counter[str] = field(default_factory=Counter)  # findings of each kind
    findings: dict[str, list[Finding]] = field(default_factory=dict)  # the first KEPT of each kind

    def add(self, findings: Iterable[Finding]) -> None:
        """Take in findings."""
        for finding in findings:
            self.counts[finding.kind] += 1
            kept = self.findings.setdefault(finding.kind, [])
            if len(kept) < KEPT:
                kept.append(finding)

    def add_new(self, findings: Iterable[Finding]) -> None:
        """Take in the findings that are not among those kept."""
        known = {finding for kept in self.findings.values() for finding in kept}
        self.add(finding for finding in findings if finding not in known)

    @property
    def is_damaged(self) -> bool:
        """Whether something would stop a run or be left out of it."""
        return any(KINDS[kind].severity.is_damage for kind in self.counts)

    def kinds(self) -> list[str]:
        """The kinds found, the worst first."""
        order = list(Severity)
        return sorted(self.counts, key=lambda kind: (order.index(KINDS[kind].severity), kind))

    def lines(self, *, examples: int = 3) -> Iterator[str]:
        """One heading for each kind, and its first findings."""
        for kind in self.kinds():
            severity, effect = KINDS[kind].severity, KINDS[kind].effect
            yield f'{kind}: {self.counts[kind]} ({severity.value}{f": {effect}" if effect else ""})'
            yield from (f'  {finding}' for finding in self.findings[kind][:examples])
            if self.counts[kind] > examples:
                yield f'  ... and {self.counts[kind] - examples} more'

    def summary(self) -> str:
        """One line."""
        parts = [f'{self.images} images', f'{self.label_maps} label maps', f'{self.annotations} annotations']
        looked = ', '.join(part for part in parts if not part.startswith('0 ')) or 'nothing'
        counts = ', '.join(f'{self.counts[kind]} {kind}' for kind in self.kinds())
        return f'checked {looked}: {counts or "nothing found"}'

    def as_dict(self) -> dict[str, Any]:
        """For JSON; at most ``KEPT`` findings of a kind are listed, each with its severity."""
        findings = [finding for kind in self.kinds() for finding in self.findings[kind]]
        return {
            'images': self.images,
            'label_maps': self.label_maps,
            'annotations': self.annotations,
            'counts': {kind: self.counts[kind] for kind in self.kinds()},
            'findings': [
                {**finding._asdict(), 'severity': KINDS[finding.kind].severity.name.lower()}
                for finding in findings
            ],
        }
