from __future__ import annotations

from typing import TYPE_CHECKING

from tests.chaos.tally import ENDED, summary

if TYPE_CHECKING:
    import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Begin to count."""
    config.stash[ENDED] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much has gone wrong."""
    ended = terminalreporter.config.stash[ENDED]
    if ended:
        terminalreporter.section("chaos")
        for line in summary(ended):
            terminalreporter.line(line)
