from __future__ import annotations

import pytest

from tests.chaos.breaking import lacking
from tests.chaos.tally import ended, summary


def pytest_configure() -> None:
    """Refuse to break what is not there, for the failures would be taken for a proof."""
    if places := lacking():
        raise pytest.UsageError(f"What is to be broken is not there: {', '.join(places)}; see tests/chaos/breaking.py")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much has gone wrong."""
    if schedules := ended(terminalreporter):
        terminalreporter.section("chaos")
        for line in summary(schedules):
            terminalreporter.line(line)
