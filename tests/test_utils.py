"""What every room uses."""

from __future__ import annotations

import logging

import pytest
from mmengine.logging import MMLogger

from hrnet_mm.utils import quiet


def test_the_log_goes_on_after_silence(capfd: pytest.CaptureFixture[str]) -> None:
    logger = MMLogger.get_instance('silence', logger_name='silence', log_level=logging.INFO)
    with quiet():
        logger.warning('unheard')
    logger.warning('heard')
    printed = capfd.readouterr()
    assert 'unheard' not in printed.out + printed.err
    assert 'heard' in printed.out + printed.err
