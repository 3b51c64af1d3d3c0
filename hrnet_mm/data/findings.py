"""What can be wrong with data, how bad each is, and what a run makes of it: one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType


class Severity(Enum):
    """How bad a finding is, worst first."""

    STOPS = 'stops the run at its start'
    LEFT_OUT = 'the sample is left out of training, a test stops there'
    HANDLED = 'handled'
    NOTE = 'worth knowing'

    @property
    def is_damage(self) -> bool:
        """Whether something has to be mended."""
        return self in (Severity.STOPS, Severity.LEFT_OUT)


@dataclass(frozen=True)
class Kind:
    """One kind of fault.

    Attributes:
        severity: How bad.
        effect: What a run does with it, where the severity does not say all.
    """

    severity: Severity
    effect: str = ''


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        # annotation files
        'unreadable annotations': Kind(Severity.STOPS),
        'no usable annotation': Kind(Severity.STOPS),
        'incomplete image record': Kind(Severity.STOPS),
        'incomplete annotation': Kind(Severity.STOPS),
        'id given twice': Kind(Severity.STOPS),
        'no finite number': Kind(Severity.STOPS),
        'wrong number of keypoints': Kind(Severity.STOPS),
        'classes in another order': Kind(Severity.STOPS),
        'no segmentation': Kind(Severity.STOPS),
        'category not in the config': Kind(Severity.HANDLED, 'the annotation is not learned'),
        'category not listed': Kind(Severity.HANDLED, 'in pose it is learned like any other'),
        'unknown image': Kind(Severity.HANDLED, 'the annotation is not learned'),
        'box of no size': Kind(Severity.HANDLED, 'the annotation is not learned'),
        'box outside the image': Kind(Severity.HANDLED, 'the annotation is not learned'),
        'keypoint outside the image': Kind(
            Severity.HANDLED, 'it has no target unless the crop reaches beyond the image to it'
        ),
        'no keypoints': Kind(Severity.NOTE, 'the annotation is not learned'),
        'image without annotation': Kind(Severity.NOTE, 'of use as background, where the config keeps it'),
        'class without annotation': Kind(Severity.NOTE, 'nothing to learn it from'),
        # files of images
        'missing image': Kind(Severity.STOPS),
        'unreadable image': Kind(Severity.LEFT_OUT),
        'too large image': Kind(Severity.LEFT_OUT, 'it is not decoded'),
        'truncated image': Kind(Severity.LEFT_OUT),
        'image of another size': Kind(Severity.LEFT_OUT, 'in pose: trained on as it is'),
        '16-bit image': Kind(Severity.HANDLED, 'reduced to 8 bits'),
        'grey image': Kind(Severity.HANDLED, 'the one channel is repeated'),
        'CMYK image': Kind(Severity.HANDLED, 'converted to RGB'),
        'image with a palette': Kind(Severity.HANDLED, 'converted to RGB'),
        'image with transparency': Kind(Severity.HANDLED, 'the transparency is dropped'),
        'EXIF-rotated image': Kind(
            Severity.HANDLED, 'turned upright: annotations have to refer to the upright image'
        ),
        # label maps
        'missing label map': Kind(Severity.STOPS),
        'unreadable label map': Kind(Severity.LEFT_OUT),
        'label map of another size': Kind(Severity.LEFT_OUT),
        'label map with channels': Kind(Severity.LEFT_OUT),
        '16-bit label map': Kind(Severity.LEFT_OUT, 'the loader would keep the lower 8 bits alone'),
        'unexpected class id': Kind(Severity.LEFT_OUT),
    }
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: A key of ``KINDS``.
        file: The file it is in.
        item: What in the file: ``annotation 17``; empty for the file as a whole.
        reason: What is wrong, in words.
    """

    kind: str
    file: str
    item: str = ''
    reason: str

    @property
    def severity(self) -> Severity:
        """How bad this kind is."""
        return KINDS[self.kind].severity

    def __str__(self) -> str:
        return f'{self.file}{", " + self.item if self.item else ""}: {self.reason}'

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return {
            'kind': self.kind,
            'severity': self.severity.name.lower(),
            'file': self.file,
            'item': self.item,
            'reason': self.reason,
        }
