from __future__ import annotations

import pytest

from tests.chaos.breaking import lacking


def pytest_configure() -> None:
    """Refuse to break what is not there, for the failures would be taken for a proof."""
    if places := lacking():
        raise pytest.UsageError(f"What is to be broken is not there: {', '.join(places)}; see tests/chaos/breaking.py")
