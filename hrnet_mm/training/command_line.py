"""What the command-line tools share: their common arguments, and how they report errors."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any, Final
from urllib.error import URLError

from ..checkpoints import CheckpointError
from ..config.errors import ConfigError, DataError
from ..config.load import LAUNCHERS
from .finite_loss_hook import NumericFault
from .processes import Interrupted, LostProcess

#: Not '' or '0': errors that end in one line show their traceback first.
TRACEBACK: Final = 'HRNET_MM_TRACEBACK'
#: MMEngine asks pkg_resources for versions, at each start and in each new process.
_NOISE = 'pkg_resources is deprecated'
#: What all processes of a job are told alike.
_SHARED = (ConfigError, CheckpointError, NumericFault, KeyboardInterrupt)


class ToolParser(argparse.ArgumentParser):
    """An ``ArgumentParser`` with ``--traceback``, whose help keeps its lines."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault('formatter_class', argparse.RawDescriptionHelpFormatter)
        super().__init__(**kwargs)
        self.add_argument(
            '--traceback',
            action=_ShowTraceback,
            nargs=0,
            default=argparse.SUPPRESS,
            help=f'show where an error comes from (also: {TRACEBACK}=1)',
        )


class _ShowTraceback(argparse.Action):
    def __call__(self, *_: Any) -> None:
        os.environ[TRACEBACK] = '1'


def run_parser(*, description: str, example: str) -> ToolParser:
    """A parser with the arguments that training and testing share."""
    parser = ToolParser(description=description, epilog=f'example:\n  {example}')
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
    if arguments.local_rank is not None:
        os.environ.setdefault('LOCAL_RANK', str(arguments.local_rank))
    return arguments


def run_tool(main: Callable[[], object], *, mistakes: tuple[type[Exception], ...] = ()) -> None:
    """Run a tool; what is the user's to mend ends it in one line, see ``end_in_one_line``.

    Args:
        main: the tool.
        mistakes: what else, beside our own errors, is the user's to mend.
    """
    warnings.filterwarnings('ignore', message=_NOISE)
    known = os.environ.get('PYTHONWARNINGS')
    if _NOISE not in (known or ''):  # for processes that this one starts
        os.environ['PYTHONWARNINGS'] = f'{f"{known}," if known else ""}ignore:{_NOISE}'
    try:
        main()
    except BaseException as error:
        end_in_one_line(error, mistakes=mistakes)
        raise


def end_in_one_line(error: BaseException, *, mistakes: tuple[type[Exception], ...] = ()) -> None:
    """End the program with ``error: ...`` if the user can mend the error.

    What all processes of a job meet alike is said by the first one of each machine.

    The exit code is 2 for a mistake, 1 for a lost process, 130 for Ctrl-C, 143 for SIGTERM. With
    ``HRNET_MM_TRACEBACK=1`` in the environment the traceback stands before it. Other errors are bugs; nothing
    is done about them here.
    """
    message, code = str(error), 2
    if isinstance(error, URLError):
        message = (
            f'a download failed ({error.reason}): the address is in the log above. Without a network give a '
            'local file, or start from random weights with --cfg-options model.backbone.init_cfg=None '
            '(model.pretrained=None in configs that set it)'
        )
    elif isinstance(error, LostProcess):
        code = 1
    elif isinstance(error, Interrupted):
        code = error.exit_code
    elif isinstance(error, KeyboardInterrupt):
        message, code = 'stopped by Ctrl-C', 130
    elif not isinstance(error, (ConfigError, CheckpointError, DataError, NumericFault, *mistakes)):
        return
    if os.environ.get(TRACEBACK, '0') not in ('', '0'):
        traceback.print_exception(error)
    place = os.environ.get('LOCAL_RANK') or os.environ.get('SLURM_LOCALID') or '0'
    if place == '0' or not isinstance(error, _SHARED):
        print(f'error: {message}', file=sys.stderr, flush=True)
    sys.exit(code)
