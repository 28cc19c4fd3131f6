from __future__ import annotations

import pytest

from tests.chaos.breaking import lacking
from tests.chaos.tally import ENDED, summary


def pytest_configure(config: pytest.Config) -> None:
    """Begin to count; refuse to break what is not there, for the failures would be taken for a proof."""
    config.stash[ENDED] = []
    if places := lacking():
        raise pytest.UsageError(f"What is to be broken is not there: {', '.join(places)}; see tests/chaos/breaking.py")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much has gone wrong."""
    ended = terminalreporter.config.stash[ENDED]
    if ended:
        terminalreporter.section("chaos")
        for line in summary(ended):
            terminalreporter.line(line)
