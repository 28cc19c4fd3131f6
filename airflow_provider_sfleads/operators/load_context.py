"""What one try of a load has at hand, whatever step it is at."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import count
from random import uniform
from threading import Lock
from typing import Any

from airflow_provider_sfleads.core.outcome import UnansweredSend
from airflow_provider_sfleads.core.report import Entry, Tally
from airflow_provider_sfleads.exceptions import ExportError, SalesforceLeadsError
from airflow_provider_sfleads.intervals import Interval
from airflow_provider_sfleads.operators.journal import Execution, Journal
from airflow_provider_sfleads.operators.links import Links
from airflow_provider_sfleads.operators.load_settings import LoadSettings
from airflow_provider_sfleads.operators.ownership import Ownership
from airflow_provider_sfleads.pipeline.create_plan import CreatePlan
from airflow_provider_sfleads.pipeline.lookup import LeadLookup
from airflow_provider_sfleads.pipeline.page_sender import PageSender
from airflow_provider_sfleads.pipeline.prepare import PlanInputs
from airflow_provider_sfleads.pipeline.stage_plan import StagePlan
from airflow_provider_sfleads.results.announced import Announcements
from airflow_provider_sfleads.results.claims import LeadClaims
from airflow_provider_sfleads.results.confirmed_values import ConfirmedValues, NewerRows
from airflow_provider_sfleads.results.earlier import EarlierRows
from airflow_provider_sfleads.results.folder import ResultsFolder
from airflow_provider_sfleads.results.lease import Lease
from airflow_provider_sfleads.salesforce.describe import SObjectInfo
from airflow_provider_sfleads.salesforce.ingest_jobs import active_rule_call, active_rule_of
from airflow_provider_sfleads.salesforce.job_control import abort
from airflow_provider_sfleads.salesforce.wire import Call, Reply

log = logging.getLogger(__name__)

Plan = CreatePlan | StagePlan
Prepare = Callable[[PlanInputs], Plan]

#: Rows to send up to which ``api="auto"`` stays with sObject Collections, as Salesforce itself advises
#: ("Bulk API and Bulk API 2.0 Limits and Allocations").
MOST_BY_PAGES = 2_000
# The connection's usual time-out, for which `late_commit` leaves room.
_USUAL = timedelta(minutes=1)
_LONGEST_PAUSE = 30.0
_LONGEST_ASKED = 60.0
# Seconds.
_NOTE_EVERY = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOutcome:
    """How a load went.

    :param tally: the account.
    :param halted: why sending stopped early.
    :param export_error: why reading stopped early.
    :param known_from: from when on Salesforce can tell what became of rows whose outcome is unknown.
    :param read: rows that were read, and have to lie in the results.
    :param is_read: whether the export was read to its end.
    """

    tally: Tally
    read: int
    is_read: bool = True
    halted: SalesforceLeadsError | None = None
    export_error: ExportError | None = None
    known_from: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingJobs:
    """A load that can go on only when jobs are over.

    :param elapsed: seconds since the oldest of them was begun.
    :param queued: seconds after which those that stand in the queue by then have to be taken out of it, by id.
    """

    job_ids: tuple[str, ...]
    elapsed: float
    queued: Mapping[str, float]


@dataclass(kw_only=True)
class LoadContext:
    """One load under way.

    :param journal: keeps ``execution`` for later tries.
    :param ownership: shows that no newer try has taken over.
    :param attempt: try number of the task.
    :param links: what the task shows in Airflow's UI.
    :param others: what the task instance's other executions came to, oldest first.
    :param deferred: whether the try goes on after a triggerer has waited for its jobs.
    :param until_the_end: closes what the end of the load still needs.
    :param confirmed: fingerprints of the execution's rows, where they are to be remembered.
    :param planned: the plan, once there is one.
    :param tally: the account, as far as it is known where the load breaks off.
    :param lease: the load's turn, where runs take turns.
    :param newer: rows that newer runs have brought up to date, where that matters.
    :param rule: the org's active assignment rule, once it is known.
    :param rule_calls: how often it was asked for.
    :param written_back: rows that the write-back wrote, once it has.
    """

    settings: LoadSettings
    prepare: Prepare
    lead: SObjectInfo
    folder: ResultsFolder
    journal: Journal
    execution: Execution
    ownership: Ownership
    interval: Interval | None
    attempt: int
    links: Links
    until_the_end: ExitStack
    deferred: bool = False
    others: Sequence[Entry] = ()
    confirmed: ConfirmedValues | None = None
    planned: Plan | None = None
    tally: Tally | None = None
    lease: Lease | None = None
    newer: NewerRows | None = None
    rule: tuple[str | None, ...] = ()
    rule_calls: int = 0
    written_back: int | None = None
    _kept: float = 0.0

    def choose(self, api: str, reason: str) -> None:
        """Take down how the rows are sent; :meth:`keep` makes it durable."""
        self.execution = replace(self.execution, api=api, api_reason=reason)

    def keep(self, **changes: Any) -> None:
        """Write the execution down, with some of it changed, and show its jobs."""
        self.execution = replace(self.execution, **changes)
        # Else a process that was frozen would put its own view of the jobs in place of the newer try's.
        self.ownership.verify()
        self.journal.keep(self.execution)
        self._kept = time.monotonic()
        self.links.show_jobs(self.settings.hook.client.base_url, self.execution.jobs.values())

    def drop_jobs(self) -> None:
        """Abort and forget the jobs of an export that is read anew: what they carried is no account of it.

        :raises SalesforceLeadsError: where Salesforce cannot be told.
        """
        self.ownership.verify()
        execution = self.execution
        for job_id in execution.jobs.values():
            abort(self.settings.hook.client.send, job_id, conn_id=self.settings.hook.salesforce_conn_id)
        if execution.jobs and execution.asks_from is not None:
            # Up to now they may have written.
            execution = replace(execution, asks_until=datetime.now(UTC).isoformat())
        self.execution = replace(execution, jobs={})

    def begin(self) -> None:
        """Write down that there is this execution, so that a try that is killed from here on is resumed.

        First the journal, then the folder: a folder that no journal speaks of would look like lost records.
        """
        self.keep()
        self.folder.begin()

    def begin_sending(self) -> None:
        """Write down that rows may be sent from here on: before that nothing is lost with the records."""
        if not self.execution.sends and not self.settings.dry_run:
            self.keep(sends=True)

    def note_parts(self, next_part: int) -> None:
        """Take down how far the results have come; durable now and then, since each time takes some milliseconds."""
        if next_part != self.execution.next_part:
            self.execution = replace(self.execution, next_part=next_part)
            if time.monotonic() - self._kept > _NOTE_EVERY:
                self.keep()

    def send(self, call: Call) -> Reply:
        """Send a call; one that writes only as the owner of the task, and while the turn on its memory lasts."""
        client = self.settings.hook.client
        if not call.write:
            return client.send(call)

        def announce() -> None:
            if call.announce is not None:
                call.announce()
            self.ownership.verify()
            if self.lease is not None:
                self.lease.verify()

        return client.send(replace(call, announce=announce))

    @property
    def resumed(self) -> bool:
        """Whether an earlier try of the execution has begun it."""
        return self.execution.tries > 1

    @property
    def counts_anew(self) -> bool:
        """Whether rows that meet a lead of which no record is left may count as created once more."""
        return self.execution.asks_from is not None

    def own_time(self, moment: datetime | None) -> datetime | None:
        """Return a moment of Salesforce's clock by the worker's own."""
        return None if moment is None else moment - self._ahead

    def server_now(self) -> datetime:
        """Return the time by Salesforce's clock."""
        return datetime.now(UTC) + self._ahead

    @property
    def began(self) -> datetime:
        """When the execution began, by Salesforce's clock."""
        return self._moment(self.execution.started_at)

    def _moment(self, noted: str) -> datetime:
        """Return a moment of the journal by Salesforce's clock."""
        return datetime.fromisoformat(noted) + self._ahead

    @property
    def _ahead(self) -> timedelta:
        return timedelta(seconds=self.settings.hook.client.server_time_offset or 0.0)

    def earlier(self, plan: Plan) -> EarlierRows:
        """Return a memory of what was done before, empty yet."""
        execution, assumed = self.execution, None
        if execution.asks_from is not None:
            last = execution.asks_until or execution.started_at
            assumed = replace(self.doubt(), last=self._moment(last))
        return EarlierRows(self.folder.staging(), plan.compare, repeatable=plan.repeatable, assumed=assumed)

    def plan(self, columns: Sequence[str]) -> Plan:
        """Bring the parameters, the org and the export together.

        :param columns: the export's; none before it is opened.
        :raises MappingError: with every problem, before anything is sent.
        """
        claim = LeadClaims(self.folder).take
        self.planned = self.prepare(PlanInputs(lead=self.lead, columns=columns, late=self.late, claim=claim))
        return self.planned

    @property
    def late(self) -> timedelta:
        """How long after it was sent a call may still take effect."""
        timeout = timedelta(seconds=self.settings.hook.client.settings.timeout)
        return self.settings.late_commit + max(timedelta(0), timeout - _USUAL)

    def doubt(self) -> UnansweredSend:
        """Say that rows were sent at some time of the execution, and nobody knows what became of them."""
        asks = self.execution.asks_from
        since = self.began if asks is None else self._moment(asks)
        # By which user is not recorded where records are lost. A plain insert has to reckon with any; with a unique key
        # only the word "created" hangs on it, which nobody else's lead is to get.
        is_any = asks is not None and not (self.planned is not None and self.planned.repeatable)
        return UnansweredSend(since=since, last=self.server_now(), user_ids=frozenset() if is_any else self.user_ids)

    @property
    def user_ids(self) -> frozenset[str]:
        """The integration user, where the token names it."""
        return frozenset(filter(None, (self.settings.hook.client.user_id,)))

    def lookup(self) -> LeadLookup:
        """Return what reads leads."""
        hook = self.settings.hook
        return LeadLookup(send=hook.client.send, conn_id=hook.salesforce_conn_id, lead=self.lead)

    def active_rule(self) -> str | None:
        """Return the org's active assignment rule for leads, asked for once.

        :raises ObjectAccessError: where the Run-As user may not see rules.
        """
        if not self.rule:
            call, hook = active_rule_call(), self.settings.hook
            self.rule_calls += 1
            self.rule = (active_rule_of(call, hook.client.send(call), conn_id=hook.salesforce_conn_id),)
            log.info("The active assignment rule for leads: %s.", self.rule[0] or "none")
        return self.rule[0]

    def lead_url(self, lead_id: str) -> str:
        """Return a lead's address."""
        return f"{self.settings.hook.client.base_url}/lightning/r/Lead/{lead_id}/view"

    @cached_property
    def sender(self) -> PageSender:
        """Delivers pages; the requests of a try are numbered."""
        numbers, lock = count(1), Lock()

        def number() -> str:
            with lock:
                return str(next(numbers))

        return PageSender(
            send=self.send,
            pause=self.pause,
            stopped=self.settings.stop.is_set,
            number=number,
            conn_id=self.settings.hook.salesforce_conn_id,
        )

    def announce(self, plan: Plan, rows: Sequence[tuple[str, str]]) -> None:
        """Make durable that new leads are about to be sent.

        :param rows: the key of each, and a digest of who it speaks of.
        """
        doubt = UnansweredSend.at(self.server_now(), self.settings.hook.client.user_id)
        Announcements(self.folder, plan.compare).announce(rows, doubt)

    def pause(self, rounds: int, asked: float) -> None:
        """Wait before records are sent again: longer each time, as long as Salesforce asks, less where stopped."""
        longest = min(_LONGEST_PAUSE, 0.5 * 2**rounds)
        jittered = uniform(longest / 2, longest)  # noqa: S311 - jitter, no secret
        self.settings.stop.wait(max(jittered, min(asked, _LONGEST_ASKED)))
