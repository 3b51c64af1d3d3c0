"""The one error for weights that cannot be read, converted or loaded."""

from __future__ import annotations

_LONGEST = 1000  # letters of a problem


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; nothing of it has been loaded.

    Args:
        source: The file, or whatever else the weights come from.
        problem: What is wrong with it.
        expected: What would have been right.
    """

    def __init__(self, *, source: object, problem: str, expected: str) -> None:
        self.source = str(source)
        self.problem = problem
        self.expected = expected
        # keys that a message quotes are the file's: of any length, with any line breaks
        short = problem if len(problem) <= _LONGEST else f'{problem[:_LONGEST]}...'
        super().__init__(f'checkpoint {self.source}: {" ".join(short.splitlines())}; expected {expected}')

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments need help through pickle (data loader workers, process pools).
        return (_rebuild, (self.source, self.problem, self.expected))


def _rebuild(source: str, problem: str, expected: str) -> CheckpointError:
    return CheckpointError(source=source, problem=problem, expected=expected)
