"""What a contract check finds: one finding for each assumption."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Whether an assumption holds."""

    HOLDS = "holds"
    BROKEN = "broken"
    NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the table.

    :param name: stable, for programs, such as ``lookup.by_id``.
    :param assumption: what the provider relies on, in a few words.
    :param expected: what the answer should be.
    :param seen: what it was; no secret, token, e-mail address or name.
    :param state: whether the assumption holds.
    :param remedy: what to do where it does not hold, or to have it tried.
    """

    name: str
    assumption: str
    expected: str
    seen: str
    state: State
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Assumption:
    """What the provider relies on; makes the finding about it.

    :param name: as of the finding.
    :param text: likewise, its ``assumption``.
    :param expected: likewise.
    :param remedy: what to do where it does not hold.
    """

    name: str
    text: str
    expected: str
    remedy: str

    def judged(self, seen: str, *, holds: bool, remedy: str | None = None) -> Finding:
        """Return that it holds, or is broken.

        :param remedy: in place of the usual one.
        """
        if holds:
            return self._finding(State.HOLDS, seen, "")
        return self._finding(State.BROKEN, seen, self.remedy if remedy is None else remedy)

    def not_tried(self, seen: str, remedy: str = "") -> Finding:
        """Return why it was not tried, and what to do to have it tried."""
        return self._finding(State.NOT_TRIED, seen, remedy)

    def _finding(self, state: State, seen: str, remedy: str) -> Finding:
        return Finding(
            name=self.name, assumption=self.text, expected=self.expected, seen=seen, state=state, remedy=remedy
        )
