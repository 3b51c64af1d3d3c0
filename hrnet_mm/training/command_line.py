"""What the command-line tools share: their common arguments, and how they report errors."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import NoReturn
from urllib.error import URLError

from ..checkpoints import CheckpointError
from ..config.errors import ConfigError, DataError
from ..config.load import LAUNCHERS
from .job_watch import LostProcess
from .numeric_fault import NumericFault
from .slurm import take_over_slurm
from .together import first_to_say


def new_parser(*, description: str, example: str) -> argparse.ArgumentParser:
    """A parser with the arguments that every tool takes, whose help ends in an example."""
    parser = argparse.ArgumentParser(
        description=description,
        epilog=f'example:\n  {example}',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', metavar='CONFIG', help='config file')
    parser.add_argument(
        '--work-dir',
        metavar='DIR',
        help='folder for logs and checkpoints (default: ./work_dirs/<name of the config>)',
    )
    parser.add_argument(
        '--data-root', metavar='DIR', help="folder of the data, instead of the config's data_root"
    )
    add_cfg_options(parser, example='train_cfg.max_epochs=10')
    parser.add_argument(
        '--launcher',
        choices=sorted(LAUNCHERS),
        default='none',
        help='what started the processes, one per GPU (default: none)',
    )
    # torch.distributed.launch passes this one; torchrun sets LOCAL_RANK itself.
    parser.add_argument('--local-rank', '--local_rank', type=int, help=argparse.SUPPRESS)
    return parser


def add_cfg_options(parser: argparse.ArgumentParser, *, example: str) -> None:
    """Add ``--cfg-options KEY=VALUE ...``, a list of words for ``parse_options``."""
    parser.add_argument(
        '--cfg-options',
        metavar='KEY=VALUE',
        nargs='+',
        action='extend',
        default=[],
        help=f'values to put over those of the config, as in {example}',
    )


def parse_arguments(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse the command line, and leave the process's place in the job where torch and MMEngine look."""
    arguments = parser.parse_args()
    if arguments.launcher == 'slurm' and all(name in os.environ for name in LAUNCHERS['slurm']):
        take_over_slurm()
    if arguments.local_rank is not None:
        os.environ.setdefault('LOCAL_RANK', str(arguments.local_rank))
    return arguments


def run_tool(main: Callable[[], None]) -> None:
    """Run a tool; a mistake of the user's ends it with ``error: ...`` and exit code 2, a lost process with 1.

    Of several processes one says it.
    """
    try:
        main()
    except (ConfigError, CheckpointError, DataError, NumericFault) as error:
        _stop(str(error))
    except LostProcess as error:
        _stop(str(error), topic='lost process', code=1)
    except URLError as error:
        _stop(
            f'a download failed ({error.reason}): the address is in the log above. Without a network give a '
            'local file, or start from random weights with --cfg-options model.backbone.init_cfg=None '
            '(model.pretrained=None in configs that set it)'
        )


def _stop(message: str, *, topic: str | None = None, code: int = 2) -> NoReturn:
    if first_to_say(topic or message):
        print(f'error: {message}', file=sys.stderr, flush=True)
    sys.exit(code)
