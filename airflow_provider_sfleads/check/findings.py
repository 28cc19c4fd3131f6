"""What a contract check finds: one finding for each assumption."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from airflow_provider_sfleads.check.org import Org
from airflow_provider_sfleads.exceptions import SalesforceLeadsError


class State(StrEnum):
    """Whether an assumption holds."""

    HOLDS = "holds"
    BROKEN = "broken"
    NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the table.

    :param name: stable, for programs, such as ``queries.two_thousand_ids``.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A question to the org that yields findings.

    :param name: as of the finding that stands for it where the question itself fails.
    :param assumption: likewise.
    :param ask: puts the question.
    :param remedy: what to do where the question itself fails, in addition to what the error says.
    :param expected: likewise, its ``expected``.
    :param needs: names of findings; where one of them is not there and fine, the question is not put.
    """

    name: str
    assumption: str
    ask: Callable[[Org], Iterable[Finding]]
    remedy: str = ""
    expected: str = "an answer"
    needs: tuple[str, ...] = ()

    @classmethod
    def about(
        cls, assumption: Assumption, ask: Callable[[Org], Iterable[Finding]], *, needs: tuple[str, ...] = ()
    ) -> Probe:
        """Return the question of an assumption, which stands for it where the question itself fails."""
        return cls(
            name=assumption.name,
            assumption=assumption.text,
            ask=ask,
            remedy=assumption.remedy,
            expected=assumption.expected,
            needs=needs,
        )


def findings_of(probes: Iterable[Probe], org: Org, known: Iterable[Finding] = ()) -> Iterator[Finding]:
    """Put one question after the other; one that fails is a finding, and the others go on.

    :param known: findings of earlier probes.
    """
    states = {finding.name: finding.state for finding in known}
    for probe in probes:
        for finding in _asked(probe, org, states):
            states[finding.name] = finding.state
            yield finding


def _asked(probe: Probe, org: Org, states: Mapping[str, State]) -> Iterator[Finding]:
    lacking = next((name for name in probe.needs if states.get(name) is not State.HOLDS), None)
    if lacking is not None:
        yield _of(probe, State.NOT_TRIED, f"{lacking} does not hold", f"See {lacking}.")
        return
    try:
        yield from probe.ask(org)
    except SalesforceLeadsError as error:
        yield _of(probe, State.BROKEN, str(error), probe.remedy)


def _of(probe: Probe, state: State, seen: str, remedy: str) -> Finding:
    return Finding(
        name=probe.name, assumption=probe.assumption, expected=probe.expected, seen=seen, state=state, remedy=remedy
    )
