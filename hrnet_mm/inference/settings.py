"""How to look at images and what to write, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..config.errors import ConfigError
from ..pictures.painter import LAYOUTS
from .sources import Unreadable

_NAMED = 5  # skipped images that are named in the summary


@dataclass(frozen=True)
class Settings:
    """How to look, and what to write.

    Attributes:
        out_dir: Folder of pictures and label maps. None for ``predictions``, or, with ``json``, for none.
        json: File of everything that was found, or None.
        device: ``'cpu'``, ``'cuda'``, ``'cuda:1'``, or None for a GPU where there is one.
        batch: Images that go through a network at a time; of top-down pose, eight people for each.
        fast: Use the networks' inference form.
        least_score: Boxes and keypoints below are not drawn, and nobody is looked for in such a box of a
            detector. From 0 to 1.
        layout: Where there are several networks: ``'panels'`` or ``'overlay'``.
        progress: Show a progress bar.
    """

    out_dir: str | Path | None = None
    json: str | Path | None = None
    device: str | None = None
    batch: int = 1
    fast: bool = False
    least_score: float = 0.3
    layout: str = 'panels'
    progress: bool = True

    def check(self) -> None:
        """Refuse what is out of range.

        Raises:
            ConfigError: naming the argument.
        """
        for key, value, fits, expected in (
            ('--batch', self.batch, self.batch >= 1, 'at least 1'),
            ('--score-thr', self.least_score, 0 <= self.least_score <= 1, 'a number from 0 to 1'),
            ('--layout', self.layout, self.layout in LAYOUTS, f'one of {", ".join(LAYOUTS)}'),
        ):
            if not fits:
                raise ConfigError(key=key, value=value, expected=expected)


@dataclass(frozen=True)
class Outcome:
    """What became of the images.

    Attributes:
        done: How many were looked at.
        skipped: Those that could not be read.
        out_dir: Folder of the pictures, if there is one.
        json: File of the results, if there is one.
        last: Task -> what was found in the last image, in words.
    """

    done: int
    skipped: tuple[Unreadable, ...]
    out_dir: Path | None
    json: Path | None
    last: Mapping[str, str]

    def __str__(self) -> str:
        """What was found in a single image, then how many there were and where the results are."""
        found = [f'{task}: {words}' for task, words in self.last.items()] if self.done == 1 else []
        return '\n'.join([*found, ', '.join(self._totals())])

    def _totals(self) -> list[str]:
        totals = ['1 image' if self.done == 1 else f'{self.done} images']
        if self.out_dir:
            totals.append(f'pictures in {self.out_dir}')
        if self.json:
            totals.append(f'results in {self.json}')
        if self.skipped:
            names = [each.name for each in self.skipped[:_NAMED]]
            more = ', ...' if len(self.skipped) > _NAMED else ''
            totals.append(f'{len(self.skipped)} unreadable and skipped ({", ".join(names)}{more})')
        return totals
