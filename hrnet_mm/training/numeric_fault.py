"""The error that ends a training whose numbers are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_SHOWN = 16  # images in the message; the log has all of them


class NumericFault(ArithmeticError):
    """A loss or a gradient that is NaN or infinite, found before the optimizer stepped on it.

    Args:
        step: Iteration, counted from 1 as the log does.
        values: What broke -> its value.
        images: Paths of the batch's images, of all processes on which something broke.
        checkpoint: The last one saved; None where there is none yet.
    """

    def __init__(
        self, *, step: int, values: Mapping[str, float], images: Sequence[str], checkpoint: str | None
    ) -> None:
        self.step = step
        self.values = dict(values)
        self.images = tuple(images)
        self.checkpoint = checkpoint
        super().__init__(
            f'iteration {step}: {self._broken()}; images of the batch: {self._batch()}; '
            f'last good checkpoint: {checkpoint or "none saved yet"}'
        )

    def _broken(self) -> str:
        return ', '.join(f'{name} = {value}' for name, value in self.values.items())

    def _batch(self) -> str:
        rest = len(self.images) - _SHOWN
        more = [f'and {rest} more'] if rest > 0 else []
        return ', '.join([*self.images[:_SHOWN], *more]) or 'without paths'

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments need help through pickle.
        return (_rebuild, (self.step, self.values, self.images, self.checkpoint))


def _rebuild(
    step: int, values: Mapping[str, float], images: Sequence[str], checkpoint: str | None
) -> NumericFault:
    return NumericFault(step=step, values=values, images=images, checkpoint=checkpoint)
