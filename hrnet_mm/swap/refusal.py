"""What stands in the way where HRNet cannot be put under a model."""

from __future__ import annotations


class SwapRefused(Exception):
    """A config whose backbone cannot be exchanged, and nothing has been written.

    Args:
        part: The config key that stands in the way, as ``'model.decode_head'``.
        reason: Why, in a few words that follow ``part`` and a colon.
    """

    def __init__(self, *, part: str, reason: str) -> None:
        self.part = part
        self.reason = ' '.join(reason.split())
        super().__init__(f'{part}: {self.reason}')

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments need help through pickle (process pools).
        return (_rebuild, (self.part, self.reason))


def _rebuild(part: str, reason: str) -> SwapRefused:
    return SwapRefused(part=part, reason=reason)
