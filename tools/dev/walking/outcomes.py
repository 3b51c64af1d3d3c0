"""What became of each config of a walk."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from hrnet_mm.config.errors import ConfigError, one_line

Kind = Literal['proven', 'refused', 'failed', 'unreadable']
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Outcome:
    """One config.

    Attributes:
        name: As ``mmdet::faster_rcnn/….py``.
        kind: ``proven`` swapped, and it ran forward, a loss and a prediction; ``refused`` with a reason,
            and nothing would have been written; ``failed`` anything else; ``unreadable`` even by its own
            package.
        part: Which config key stood in the way, or at which step it failed.
        reason: Why.
        key: Fingerprint of what was proven; configs with equal models share one proof.
        is_cnn: Whether it is a detector or segmentor with an exchangeable CNN backbone.
    """

    name: str
    kind: Kind
    part: str = ''
    reason: str = ''
    key: str = ''
    is_cnn: bool = False

    @property
    def package(self) -> str:
        """The package that ships the config."""
        return self.name.partition('::')[0]


def write_outcomes(path: Path, outcomes: Iterable[Outcome], *, arch: str) -> None:
    """Write a walk as JSON."""
    rows = [asdict(outcome) for outcome in outcomes]
    path.write_text(json.dumps({'arch': arch, 'outcomes': rows}, indent=1) + '\n', encoding='utf-8')


def read_outcomes(path: Path, *, key: str = 'path') -> list[Outcome]:
    """The outcomes of an earlier walk.

    Args:
        path: the file that ``write_outcomes`` wrote.
        key: the argument that named it.

    Raises:
        ConfigError: it is no such file.
    """
    try:
        return [Outcome(**row) for row in json.loads(path.read_text(encoding='utf-8'))['outcomes']]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            key=key, value=str(path), expected=f'a JSON file of an earlier walk ({one_line(error)})'
        ) from error


def count(outcomes: Sequence[Outcome], kind: Kind) -> int:
    """How many configs came to this."""
    return sum(outcome.kind == kind for outcome in outcomes)


def cnn_share(outcomes: Sequence[Outcome]) -> tuple[int, int]:
    """How many detectors and segmentors with an exchangeable CNN backbone were proven, and of how many."""
    cnns = [outcome for outcome in outcomes if outcome.is_cnn]
    return count(cnns, 'proven'), len(cnns)
