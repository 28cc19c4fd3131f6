"""Questions to an org, put one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from airflow_provider_sfleads.check.assumption import Assumption, Finding, State
from airflow_provider_sfleads.check.org import Org
from airflow_provider_sfleads.core.replies import errors_of, plain_text
from airflow_provider_sfleads.exceptions import (
    ApiAccessError,
    ApiLimitError,
    AuthenticationError,
    ConnectionFailedError,
    RequestRefusedError,
    SalesforceLeadsError,
)

_LATER = "Run the check again later."
_TIMEOUT = "QUERY_TIMEOUT"
__all__ = ["Finding", "Probe", "State", "findings_of"]


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
    causes = {finding.name: "" if finding.state is State.HOLDS else finding.name for finding in known}
    for probe in probes:
        lacking = next(filter(None, (causes.get(name, name) for name in probe.needs)), None)
        if lacking is not None:
            # What needs this one in turn is told of the first cause.
            causes[probe.name] = lacking
            why = "no token" if lacking == "token" else f"{lacking} does not hold"
            yield _of(probe, State.NOT_TRIED, why, f"See {lacking}.")
            continue
        for finding in _asked(probe, org):
            causes[finding.name] = "" if finding.state is State.HOLDS else finding.name
            yield finding


def _asked(probe: Probe, org: Org) -> Iterator[Finding]:
    try:
        yield from probe.ask(org)
    except SalesforceLeadsError as error:
        yield _of(probe, State.BROKEN, _said(error, org), _remedy(error, probe))


def _remedy(error: SalesforceLeadsError, probe: Probe) -> str:
    """What to do about a question that failed: a permission mends no network and no maintenance."""
    if isinstance(error, AuthenticationError) and not isinstance(error, ApiAccessError) and probe.needs:
        return "Do what is said under seen."
    if isinstance(error, ConnectionFailedError | ApiLimitError) or _TIMEOUT in getattr(error, "codes", ()):
        return _LATER
    return f"{_LATER} Where it stays so: {probe.remedy}" if error.transient else probe.remedy


def _said(error: SalesforceLeadsError, org: Org) -> str:
    """What Salesforce said, where that is why: what to do has a column of its own."""
    reply = org.exchanges[-1].reply if org.exchanges else None
    if not isinstance(error, RequestRefusedError) or reply is None or reply.taken:
        return str(error)
    return f"HTTP {reply.status}: {plain_text(errors_of(reply))}"


def _of(probe: Probe, state: State, seen: str, remedy: str) -> Finding:
    return Finding(
        name=probe.name, assumption=probe.assumption, expected=probe.expected, seen=seen, state=state, remedy=remedy
    )
