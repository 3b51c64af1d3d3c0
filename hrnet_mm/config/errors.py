"""The one error that says: the command or the config is wrong, and nothing has been lost yet."""

from __future__ import annotations


class ConfigError(ValueError):
    """A wrong argument or config value, found before any work started.

    Args:
        key: The argument (``'--resume'``) or the config key (``'optim_wrapper.type'``).
        value: What was given.
        expected: What would have been right, and, where it helps, how to write it.
    """

    def __init__(self, *, key: str, value: object, expected: str) -> None:
        self.key = key
        self.value = value
        self.expected = expected
        super().__init__(f'{key} = {value!r}: expected {expected}')

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments need help through pickle (data loader workers, process pools).
        return (_rebuild, (self.key, self.value, self.expected))


class DataError(RuntimeError):
    """A sample that can't be used, in one line: where it is, what is wrong, and where to look.

    Args:
        line: The message. A data loader's worker hands its traceback over instead, which ends in it.
    """

    def __init__(self, line: str) -> None:
        # torch makes the error anew, in the main process, of the worker's traceback
        last = line.strip().rpartition('\n')[2]
        super().__init__(last.removeprefix(f'{__name__}.{type(self).__name__}: '))


def _rebuild(key: str, value: object, expected: str) -> ConfigError:
    return ConfigError(key=key, value=value, expected=expected)


def one_line(error: BaseException) -> str:
    """Class name and first line of ``error``, for quoting it inside a message of one line."""
    lines = str(error).strip().splitlines()
    return f'{type(error).__name__}: {lines[0]}' if lines else type(error).__name__
