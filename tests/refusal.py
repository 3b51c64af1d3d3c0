"""What every refusal has in common: one line that names key, value and expectation."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hrnet_mm.config.errors import ConfigError


def refuses(call: Callable[[], object], *parts: str) -> None:
    """``call`` raises one line that contains all of ``parts``."""
    with pytest.raises(ConfigError) as caught:
        call()
    message = str(caught.value)
    assert '\n' not in message
    assert [part for part in parts if part not in message] == [], message
    assert ': expected ' in message
