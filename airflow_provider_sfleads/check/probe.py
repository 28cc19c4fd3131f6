"""Put questions to an org, one after the other; each yields a finding for every assumption that it is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from airflow_provider_sfleads.exceptions import (
    ApiAccessError,
    ApiLimitError,
    AuthenticationError,
    ConnectionFailedError,
    RequestRefusedError,
    SalesforceLeadsError,
)
from airflow_provider_sfleads.salesforce.client import Client
from airflow_provider_sfleads.salesforce.describe import SObjectInfo
from airflow_provider_sfleads.salesforce.ingest_jobs import next_poll
from airflow_provider_sfleads.salesforce.replies import errors_of, plain_text
from airflow_provider_sfleads.salesforce.wire import Call, FileBody, Reply

LATER = "Run the check again later."
_TIMEOUT = "QUERY_TIMEOUT"
# What is said where an option that a probe is about was not given.
_NOT_GIVEN = {
    "external_id_field": ("none was named", "Give --external-id FIELD."),
    "stage_field": ("none was named", "Give --stage-field FIELD."),
    "match_email": ("match_email is not used", "Give --match-email."),
    "fields": ("none was named", "Give --field FIELD, as often as there are some."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOptions:
    """What of the org the user's Dags use.

    :param external_id_field: Lead's external-ID field; ``None`` where there is none.
    :param stage_field: field that holds the stage.
    :param match_email: whether people are also found by e-mail.
    :param fields: further fields that they write.
    """

    external_id_field: str | None = None
    stage_field: str | None = None
    match_email: bool = False
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One call and its answer, for :mod:`.recording`.

    :param text: CSV of an answer that went into a file.
    :param sent: CSV of a body that lay in one.
    """

    call: Call
    reply: Reply
    text: str | None = field(default=None, repr=False)
    sent: str | None = field(default=None, repr=False)

    @property
    def answer(self) -> object:
        """Return the answer: JSON as it was read, or anything else as text."""
        body = self.reply.body if self.text is None else self.text
        return body.decode("utf-8", "replace") if isinstance(body, bytes) else body


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long a check waits, in seconds.

    :param query: for its query job.
    :param jobs: for its ingest jobs, all together.
    :param late: for what a request without an answer may still make.
    :param poll: before an ingest job is asked about again, by how long it has been under way.
    """

    query: float = 300.0
    jobs: float = 600.0
    late: float = 30.0
    poll: Callable[[float], float] = next_poll


class Org:
    """Sends calls for the check, and keeps every answer.

    :param client: the connection's client.
    :param options: what the check is about.
    :param timeouts: how long it waits.
    """

    def __init__(self, client: Client, options: CheckOptions, timeouts: Timeouts | None = None) -> None:
        self.client = client
        self.options = options
        self.timeouts = timeouts or Timeouts()
        self.exchanges: list[Exchange] = []
        # What one probe finds out and others build on: Lead as the Run-As user sees it, some of the org's leads, the
        # edition, with whether it is a sandbox, and the user's language, where it is known and is not English.
        self.lead = SObjectInfo(name="Lead", fields={})
        self.leads: Sequence[Mapping[str, Any]] = ()
        self.edition = ""
        self.foreign_language = ""

    @property
    def conn_id(self) -> str:
        """Name the connection in messages."""
        return self.client.settings.conn_id

    def send(self, call: Call) -> Reply:
        """Send a call as every operator does.

        :raises SalesforceLeadsError: as :meth:`airflow_provider_sfleads.salesforce.client.Client.send`.
        """
        reply = self.client.send(call)
        sent = call.body.path.read_text(encoding="utf-8") if isinstance(call.body, FileBody) else None
        self.exchanges.append(Exchange(call=call, reply=reply, sent=sent))
        return reply

    def download(self, call: Call, path: Path) -> Reply:
        """Send a call that is answered with CSV, which goes to ``path``."""
        reply = self.client.download(call, path)
        text = path.read_text(encoding="utf-8") if reply.taken else None
        self.exchanges.append(Exchange(call=call, reply=reply, text=text))
        return reply


class State(StrEnum):
    """Whether an assumption holds."""

    HOLDS = "holds"
    BROKEN = "broken"
    NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True)
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
    remedy: str


@dataclass(frozen=True, slots=True)
class Assumption:
    """What the provider relies on; makes the finding about it, of which ``text`` is the ``assumption``."""

    name: str
    text: str
    expected: str
    remedy: str

    def judged(self, seen: str, *, holds: bool, remedy: str = "") -> Finding:
        """Return that it holds, or is broken.

        :param remedy: in place of the usual one.
        """
        state = State.HOLDS if holds else State.BROKEN
        return Finding(self.name, self.text, self.expected, seen, state, "" if holds else remedy or self.remedy)

    def not_tried(self, seen: str, remedy: str = "") -> Finding:
        """Return why it was not tried, and what to do to have it tried."""
        return Finding(self.name, self.text, self.expected, seen, State.NOT_TRIED, remedy)

    def blocked_by(self, name: str) -> Finding:
        """Return that it was not tried, since what has that name does not hold."""
        return self.not_tried("no token" if name == "token" else f"{name} does not hold", f"See {name}.")


@dataclass(frozen=True, slots=True)
class Probe:
    """A question to the org that yields findings.

    :param assumption: stands for the question where the question itself fails.
    :param ask: puts the question.
    :param needs: where one of these is not tried or does not hold, the question is not put.
    :param option: nor where this one of :class:`CheckOptions` was not given.
    """

    assumption: Assumption
    ask: Callable[[Org], Iterable[Finding]]
    needs: tuple[Assumption, ...] = ()
    option: str = ""


def findings_of(probes: Iterable[Probe], org: Org, known: Iterable[Finding] = ()) -> Iterator[Finding]:
    """Put one question after the other; one that fails is a finding, and the others go on.

    :param known: findings of earlier probes.
    """
    causes = {finding.name: "" if finding.state is State.HOLDS else finding.name for finding in known}
    for probe in probes:
        lacking = next(filter(None, (causes.get(each.name, each.name) for each in probe.needs)), None)
        if lacking is not None:
            # What needs this one in turn is told of the first cause.
            causes[probe.assumption.name] = lacking
            yield probe.assumption.blocked_by(lacking)
            continue
        for finding in _asked(probe, org):
            causes[finding.name] = "" if finding.state is State.HOLDS else finding.name
            yield finding


def _asked(probe: Probe, org: Org) -> Iterator[Finding]:
    if probe.option and getattr(org.options, probe.option) in (None, False, ()):
        yield probe.assumption.not_tried(*_NOT_GIVEN[probe.option])
        return
    try:
        yield from probe.ask(org)
    except SalesforceLeadsError as error:
        yield probe.assumption.judged(_said(error, org), holds=False, remedy=_remedy(error, probe))


def _remedy(error: SalesforceLeadsError, probe: Probe) -> str:
    """Return what to do about a question that failed: a permission mends no network and no maintenance."""
    if isinstance(error, AuthenticationError) and not isinstance(error, ApiAccessError) and probe.needs:
        return "Do what is said under seen."
    if isinstance(error, ConnectionFailedError | ApiLimitError) or _TIMEOUT in getattr(error, "codes", ()):
        return LATER
    remedy = probe.assumption.remedy
    return f"{LATER} Where it stays so: {remedy}" if error.transient else remedy


def _said(error: SalesforceLeadsError, org: Org) -> str:
    """Return what Salesforce said, where that is why: what to do has a column of its own."""
    reply = org.exchanges[-1].reply if org.exchanges else None
    if not isinstance(error, RequestRefusedError) or reply is None or reply.taken:
        return str(error)
    return f"HTTP {reply.status}: {plain_text(errors_of(reply))}"
