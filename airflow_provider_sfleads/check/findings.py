"""What a contract check finds: one finding for each assumption."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A question to the org that yields findings.

    :param name: as of the finding that stands for it where the question itself fails.
    :param assumption: likewise.
    :param ask: puts the question.
    :param remedy: what to do where the question itself fails, in addition to what the error says.
    """

    name: str
    assumption: str
    ask: Callable[[Org], Iterable[Finding]]
    remedy: str = ""


def findings_of(probes: Iterable[Probe], org: Org) -> Iterator[Finding]:
    """Put one question after the other; one that fails is a finding, and the others go on."""
    for probe in probes:
        try:
            yield from probe.ask(org)
        except SalesforceLeadsError as error:
            yield Finding(
                name=probe.name,
                assumption=probe.assumption,
                expected="an answer",
                seen=str(error),
                state=State.BROKEN,
                remedy=probe.remedy,
            )
