"""Waiting for another thread in a test: as long as it takes, but not for ever."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest


def wait_until(holds: Callable[[], bool]) -> None:
    """Return once ``holds``; fail where it does not within half a minute."""
    for _ in range(6000):
        if holds():
            return
        time.sleep(0.005)
    pytest.fail("it never came true")
