"""Findings gathered, counted and told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .findings import KINDS, Finding, Severity

#: Findings of one kind that are kept; more are counted.
KEPT = 10_000


@dataclass
class Report:
    """What was found.

    Attributes:
        images: Images looked at.
        label_maps: Label maps looked at.
        annotations: Annotations looked at.
        files: Annotation files looked at.
        counts: Findings of each kind.
        findings: The first ``KEPT`` of each kind.
    """

    images: int = 0
    label_maps: int = 0
    annotations: int = 0
    files: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    findings: dict[str, list[Finding]] = field(default_factory=dict)

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
        found = [f'{self.counts[kind]} {kind}' for kind in self.kinds()]
        looked = ', '.join(part for part in parts if not part.startswith('0 ')) or 'nothing'
        return f'checked {looked}: {", ".join(found) if found else "nothing found"}'

    def as_dict(self) -> dict[str, Any]:
        """For JSON; at most ``KEPT`` findings of a kind are listed."""
        return {
            'images': self.images,
            'label_maps': self.label_maps,
            'annotations': self.annotations,
            'counts': {kind: self.counts[kind] for kind in self.kinds()},
            'findings': [finding.as_dict() for kind in self.kinds() for finding in self.findings[kind]],
        }
