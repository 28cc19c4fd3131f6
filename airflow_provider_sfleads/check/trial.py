"""Make trial leads, and remember them, what has to be deleted again, and what the probes that write found out."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any, Self

from airflow_provider_sfleads.check.probe import Assumption, Finding, Org, Probe
from airflow_provider_sfleads.check.trial_values import RoundTrip, person
from airflow_provider_sfleads.exceptions import ObjectAccessError, OutcomeUnknownError
from airflow_provider_sfleads.pipeline.job_results import ID
from airflow_provider_sfleads.pipeline.lookup import LeadLookup, LeadRecord
from airflow_provider_sfleads.pipeline.result_file import read_page
from airflow_provider_sfleads.salesforce import ingest_jobs
from airflow_provider_sfleads.salesforce.collections import PageKind, SaveResult, save_results_of
from airflow_provider_sfleads.salesforce.describe import FieldInfo, SObjectInfo
from airflow_provider_sfleads.salesforce.ids import to_18
from airflow_provider_sfleads.salesforce.paging import expect
from airflow_provider_sfleads.salesforce.wire import Call, FieldValue, Record, Reply

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_STOPPING = (
    "\nStopping: the request under way is waited for, then the trial leads are deleted. "
    "Another signal does not wait for the request.\n"
)
_DELETING = "\nThe trial leads are being deleted; another signal leaves them: find them by {field} like '{prefix}%'.\n"
# While trial leads are deleted, the first signal more is only answered.
_ASKED_AGAIN = 2

NO_RULE = "there is no active lead assignment rule, or the Run-As user may not see it"
#: Leads that one check may make at most.
MOST_LEADS = 20
# A repeated insert would meet the lead that its first sending made, and what is tried here is one sending.
INSERT = PageKind(operation="insert", repeatable=False)
UPDATE = PageKind(operation="update")
_CREATE_JOB = ("POST", ingest_jobs.create_job(ingest_jobs.JobSpec(operation="insert")).path)


class Signals:
    """Takes the two signals, and ends the check between two requests, so that each answer is taken note of.

    A request is waited for, since what an abandoned one has written nobody knows; a second signal abandons it all the
    same. While the trial leads are deleted, the first signal is answered with how to find them, and the second ends it.
    Outside the main thread there are no signals to take.

    :param field: where the trial leads have their key.
    :param prefix: what their keys begin with.
    """

    def __init__(self, *, field: str, prefix: str) -> None:
        self._deleting = _DELETING.format(field=field, prefix=prefix)
        self._said = _STOPPING
        self._before: dict[int, Any] = {}
        self._told = threading.Event()
        self._count = 0
        self._ends_at = 1
        self._signal: int | None = None
        self._waits = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                before = signal.getsignal(number)
                # What is ignored, as under nohup, stays so; what was not set by Python cannot be put back.
                if before not in (signal.SIG_IGN, None):
                    self._before[number] = before
                    signal.signal(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def pass_on(self) -> None:
        """Give the signal that ended the check to whoever would have had it.

        :raises KeyboardInterrupt: after SIGINT, where nobody else had taken that.
        :raises SystemExit: after SIGTERM, likewise, so that what is open is closed on the way out.
        """
        if self._signal is None:
            return
        before = self._before[self._signal]
        if callable(before):
            before(self._signal, None)
        raise self._end()

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        self._count += 1
        self._signal = number
        self._told.set()
        # Not by print or a log: the signal may have come in the middle of one. Nobody has to read it.
        with suppress(OSError, ValueError):
            os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, self._said.encode())
        if self._waits and self._count >= _ASKED_AGAIN:
            raise self._end()

    def _end(self) -> BaseException:
        return KeyboardInterrupt() if self._signal == signal.SIGINT else SystemExit(128 + (self._signal or 0))

    def deleting(self) -> None:
        """Go over to deleting, which the signal that led here does not end."""
        self._said, self._count, self._ends_at, self._waits = self._deleting, 0, _ASKED_AGAIN, False
        self._told.clear()

    def check(self) -> None:
        """End the check where that was asked for.

        :raises KeyboardInterrupt: after SIGINT.
        :raises SystemExit: after SIGTERM.
        """
        if self._count >= self._ends_at:
            raise self._end()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait for a request: the second signal does not."""
        self.check()
        try:
            self._waits = True
            yield
        finally:
            self._waits = False

    def pause(self, seconds: float) -> None:
        """Wait; a signal ends it, as :meth:`check` does."""
        self.check()
        self._told.wait(seconds)
        self.check()
        self._told.clear()


class StillQueued(Exception):  # noqa: N818 - a finding
    """A job is not over, and the check waits no longer."""


class Need(StrEnum):
    """What a probe cannot do without, said as the reason where it is not there."""

    LEAD = "no trial lead could be made"
    SECOND = "a second trial lead could not be made"
    UPDATE = "trial leads could not be updated"


@dataclass(kw_only=True)
class Trial:
    """Makes leads under one prefix of keys, and remembers all of them from before they are sent.

    :param key: the external-ID field that holds the keys.
    :param prefix: what the keys begin with.
    :param signals: ends the check between two requests.
    :param folder: local folder for files of jobs.
    :param odd_fields: fields of this org for odd values, by the values' names.
    :param ids: of leads, as they were answered.
    :param unanswered: keys of leads in requests without an answer.
    :param jobs: ids of ingest jobs.
    :param unread: those of them whose results are not known.
    :param empty_job: whether there may be a job of which only Salesforce knows.
    :param records: how many leads were made up.
    :param has: what there is of that which probes need.
    :param base: the first lead, as it was sent, less its owner.
    :param second: another one.
    :param worded: whether what Salesforce says of a key that exists is read at once, by the way that it was sent.
    :param round_trips: odd values on their way there and back, by the way that they were sent.
    """

    org: Org
    lead: SObjectInfo
    key: FieldInfo
    prefix: str
    signals: Signals
    folder: Path
    odd_fields: Mapping[str, FieldInfo]
    ids: set[str] = field(default_factory=set)
    unanswered: set[str] = field(default_factory=set)
    jobs: set[str] = field(default_factory=set)
    unread: set[str] = field(default_factory=set)
    empty_job: bool = False
    records: int = 0
    has: set[Need] = field(default_factory=set)
    base: Record = field(default_factory=dict)
    base_id: str = ""
    second: Record = field(default_factory=dict)
    second_id: str = ""
    worded: dict[str, bool] = field(default_factory=dict)
    round_trips: dict[str, RoundTrip] = field(default_factory=dict)

    @property
    def lookup(self) -> LeadLookup:
        """Look leads up as a sync does."""
        return LeadLookup(send=self.send, conn_id=self.conn_id, lead=self.lead)

    @property
    def user_id(self) -> str | None:
        """Name the Run-As user by its id."""
        return to_18(self.org.client.user_id or "")

    @property
    def conn_id(self) -> str:
        """Name the connection in messages."""
        return self.org.conn_id

    def probe(
        self, ask: Callable[[Trial], Iterable[Finding]], *assumptions: Assumption, needs: tuple[Need, ...] = ()
    ) -> Probe:
        """Make a probe that is not tried where something it needs is not there, or a job takes too long.

        :param assumptions: those that it tries; the first stands for it where the question itself fails.
        """

        def asked(_org: Org) -> Iterator[Finding]:
            lacking = next((need for need in needs if need not in self.has), None)
            if lacking is not None:
                yield from (assumption.not_tried(lacking.value) for assumption in assumptions)
                return
            try:
                yield from ask(self)
            except StillQueued as late:
                yield from (assumption.not_tried(str(late), "Try again later.") for assumption in assumptions)

        return Probe(assumptions[0], asked)

    def person(self, **values: FieldValue) -> dict[str, FieldValue]:
        """Make up a lead with a key of its own.

        :param values: fields that are to hold something else.
        :raises RuntimeError: beyond :data:`MOST_LEADS`.
        """
        self._count()
        key = f"{self.prefix}{self.records:02}"
        return {**person(self.lead, key), self.key.name: key, **values}

    def again(self, record: Record) -> Record:
        """Return a record once more, to see what a second one comes to.

        :raises RuntimeError: as :meth:`person`.
        """
        self._count()
        return record

    def _count(self) -> None:
        self.records += 1
        if self.records > MOST_LEADS:
            raise RuntimeError(f"A check makes no more than {MOST_LEADS} leads")

    def key_of(self, record: Record) -> str:
        """Return a record's key."""
        return str(record[self.key.name])

    def send(self, call: Call) -> Reply:
        """Send a call as every operator does, unless the check is to end."""
        self.signals.check()
        try:
            with self.signals.waiting():
                return self.org.send(call)
        except (OutcomeUnknownError, KeyboardInterrupt, SystemExit):
            self.empty_job = self.empty_job or (call.method, call.path) == _CREATE_JOB
            raise

    def download(self, call: Call, path: Path) -> Reply:
        """Send a call that is answered with CSV."""
        with self.signals.waiting():
            return self.org.download(call, path)

    def learn(self, job_id: str, successful: Path | None) -> None:
        """Take note of the leads that a job made or changed: a trigger may have given them other keys.

        :param successful: its result file; ``None`` where there is none.
        """
        batches = read_page(successful, (ID,)) if successful is not None else ()
        self.ids |= {full for batch in batches for each in batch.column(0).to_pylist() if (full := to_18(each or ""))}
        self.unread.discard(job_id)

    def write(self, kind: PageKind, records: Sequence[Record]) -> list[SaveResult]:
        """Send a page and take note of the leads that it made.

        :raises RequestRefusedError: where the page as a whole was refused.
        """
        call = kind.call(records)
        return save_results_of(expect(call, self.note(call, records), conn_id=self.conn_id), len(records))

    def note(self, call: Call, records: Sequence[Record]) -> Reply:
        """Send a call that writes leads, and take note of the ids that come back, or of the keys if nothing does."""
        keys = {self.key_of(record) for record in records if self.key.name in record}
        self.signals.check()
        self.unanswered |= keys
        try:
            reply = self.send(call)
        except OutcomeUnknownError:
            raise
        except Exception:
            # What surely was not carried out has made nothing.
            self.unanswered -= keys
            raise
        items = reply.body if isinstance(reply.body, list) else [reply.body]
        # One that was not written can bear an id all the same, and not its own (sobject collections, "allOrNone").
        done = (item.get("id") for item in items if isinstance(item, dict) and item.get("success") is True)
        self.ids |= {full for raw in done if isinstance(raw, str) and (full := to_18(raw))}
        self.unanswered -= keys
        return reply

    def by_key(self, record: Record, *fields: str) -> list[LeadRecord]:
        """Read the leads with a record's key, as a sync looks them up."""
        found = self.lookup.by_field(self.key, [self.key_of(record)], fields)
        return [lead for leads in found.values() for lead in leads]

    def by_id(self, lead_id: str, fields: Iterable[str]) -> LeadRecord:
        """Read one lead, of the fields those that may be seen; empty where it is not there."""
        return self.lookup.by_id([lead_id], ("Id", *fields)).get(lead_id, {})

    @cached_property
    def active_rule(self) -> str | None:
        """Return the id of the active assignment rule, asked for once; none where rules cannot be seen."""
        call = ingest_jobs.active_rule_call()
        try:
            return ingest_jobs.active_rule_of(call, self.send(call), conn_id=self.conn_id)
        except ObjectAccessError:
            return None
