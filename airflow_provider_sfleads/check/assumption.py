"""One line of the table before it is known how it comes out."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_sfleads.check.findings import Finding, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """What the provider relies on; makes the finding.

    :param name: of the finding, for programs.
    :param text: the assumption in a few words.
    :param expected: what the answer should be.
    :param remedy: what to do where it does not hold.
    """

    name: str
    text: str
    expected: str
    remedy: str

    def holds(self, seen: str) -> Finding:
        """Say that it holds."""
        return self._finding(State.HOLDS, seen, "")

    def broken(self, seen: str) -> Finding:
        """Say that it does not, and what to do."""
        return self._finding(State.BROKEN, seen, self.remedy)

    def judged(self, seen: str, *, holds: bool) -> Finding:
        """Say which of the two it is."""
        return self.holds(seen) if holds else self.broken(seen)

    def not_tried(self, reason: str, remedy: str = "") -> Finding:
        """Say why it could not be tried, and what would have it tried."""
        return self._finding(State.NOT_TRIED, reason, remedy)

    def _finding(self, state: State, seen: str, remedy: str) -> Finding:
        return Finding(
            name=self.name, assumption=self.text, expected=self.expected, seen=seen, state=state, remedy=remedy
        )
