"""Peak memory of one contestant that has a process to itself.

Started as ``python -m benchmarking.alone``, with the request as JSON on standard input.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from dataclasses import asdict, replace
from typing import Any

from hrnet_mm.config.errors import ConfigError

from .request import Request

_ANSWER = 'peak bytes: '


def peak_alone(request: Request, match: str, contestant: str) -> int:
    """How much a process grows while it builds one contestant's network and runs it three times.

    Weights, inputs, workspace and whatever the program outside torch holds are included; the code of the
    packages is not.

    Raises:
        ConfigError: if the process fails.
    """
    question = {'request': asdict(request), 'match': match, 'contestant': contestant}
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-m', __name__],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=False,
    )
    answers = [line for line in done.stdout.splitlines() if line.startswith(_ANSWER)]
    if done.returncode or not answers:
        reason = (done.stderr.strip().splitlines() or ['no message'])[-1]
        raise ConfigError(key='contestant', value=contestant, expected=f'one that runs alone ({reason})')
    return int(answers[-1].removeprefix(_ANSWER))


def _request(record: dict[str, Any]) -> Request:
    """From JSON, which knows no tuples."""
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in record.items()
    }
    return Request(**values)


def _measure(request: Request, match_name: str, contestant_name: str) -> int:
    from mmengine.registry import DefaultScope

    from hrnet_mm.utils import quiet

    from .contestants import makers_of
    from .matches import make_match
    from .memory import forget_peak, peak_resident, resident
    from .run import settings

    with settings(request), quiet():
        make_match(replace(request, arch='w18_small_v1'), match_name)  # imports whatever is needed
        forget_peak()
        before = resident()
        match = make_match(request, match_name)
        with DefaultScope.overwrite_default_scope(match.scope):
            contestant = makers_of(match, request)[contestant_name]()
            contestant.runner.run()
            del match
            gc.collect()
            forget_peak()
            for _ in range(2):
                contestant.runner.run()
            return peak_resident() - before


if __name__ == '__main__':
    asked = json.load(sys.stdin)
    print(f'{_ANSWER}{_measure(_request(asked["request"]), asked["match"], asked["contestant"])}')
