"""Whether a swapped config's model can be built and run, and who is to blame if it cannot."""

from __future__ import annotations

import copy

from mmengine.config import Config

from ..config.errors import ConfigError, one_line
from ..config.model_check import check_model
from .building import build_to_look
from .proof import ProofFailed, prove
from .refusal import SwapRefused
from .source import Source

#: What mmcv's operators say of a device that they were not written for.
_NO_OPERATOR = 'implementation for device'


def require_running(cfg: Config, *, source: Source, proof: bool) -> str:
    """Build the swapped model and, with ``proof``, run it forward, to its loss and to a prediction.

    Returns:
        What was tried, for the user to know; some operators of mmcv have no CPU version.

    Raises:
        SwapRefused: it does not build or run; the message says so if the old model did not either.
    """
    try:
        if proof:
            prove(cfg)
        else:
            _check(cfg)
    except Exception as error:  # models are programs of many packages, which fail in any way
        if _NO_OPERATOR in str(error):
            return f'built, but not run: {error}'
        _refuse_unbuildable(source)
        if isinstance(error, ProofFailed):
            _refuse_unprovable(source, step=error.step)
        raise SwapRefused(part='model', reason=f'with HRNet it does not run: {error}') from error
    return 'proven on random input: forward, loss, backward, prediction' if proof else 'built, not run'


def _check(cfg: Config) -> None:
    try:
        check_model(copy.deepcopy(cfg))
    except ConfigError as error:
        # shapes are tried on the meta device, which some operators do not know: no fault of the model's
        if _NO_OPERATOR not in str(error):
            raise


def _refuse_unbuildable(source: Source) -> None:
    """Tell a model that was never built here from one that HRNet has broken."""
    try:
        build_to_look(source.cfg.model, scope=source.scope)
    except Exception as error:
        raise SwapRefused(
            part='model', reason=f'it cannot be built even with its own backbone ({one_line(error)})'
        ) from error


def _refuse_unprovable(source: Source, *, step: str) -> None:
    """The same for a model that never ran here as far as that."""
    try:
        prove(source.cfg)
    except ProofFailed as error:
        if error.step == step:
            raise SwapRefused(
                part='model', reason=f'it does not run here even with its own backbone ({error})'
            ) from error
