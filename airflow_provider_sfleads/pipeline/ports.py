"""What a run works with, and does not care who provides."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from threading import Event
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sfleads.core.outcome import Action, Outcome, Reason, Row, UnansweredSend
from airflow_provider_sfleads.salesforce.ingest_jobs import LONGEST_QUEUED


class Earlier(Protocol):
    """What the tries and executions before this one did."""

    def settled(self, key: str) -> bool:
        """Return whether an earlier try settled the row that is sent for a key."""

    def unknown(self, key: str) -> UnansweredSend | None:
        """Return when such a row was sent before, if what became of it was never learned."""

    def created(self, key: str) -> str | None:
        """Id of the lead that an earlier execution of the task made of such a row."""


class Newer(Protocol):
    """What newer runs have done by the time that rows are sent."""

    def __call__(self, keys: Sequence[str], /) -> Mapping[int, str | None]:
        """Return the places of the rows that a newer interval has brought up to date, with their leads' ids.

        :raises SalesforceLeadsError: where nothing may be sent now.
        """


class ResultsSink(Protocol):
    """Where outcomes go."""

    def add(self, outcomes: pa.RecordBatch) -> None:
        """Take outcomes, in the columns of the results."""

    def write(self, outcome: Outcome, values: Row | None) -> None:
        """Take one outcome, and the original row where it is a reject."""

    def flush(self) -> None:
        """Make what was taken durable."""

    def marked(self, mark: str) -> AbstractContextManager[None]:
        """Record what is written in the block all together, under a mark that says what it settles, or not at all."""

    def marks(self) -> Collection[str]:
        """Return the marks there are, of earlier tries too."""


class JobJournal(Protocol):
    """Remembers, durably, which job carries which load."""

    def jobs(self) -> Mapping[str, str]:
        """Return ids of jobs by their load's label."""

    def note(self, label: str, job_id: str | None) -> None:
        """Write down which job carries a load; ``None`` where it turned out that none does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTerms:
    """How a run is carried out.

    :param dry_run: send no change.
    :param batch_size: records to a page.
    :param concurrency: requests in flight.
    :param least: loads of so many rows or fewer go through sObject Collections (2,000 under ``api="auto"``, else 0).
    :param attempt: try number of the task.
    :param now: the clock.
    :param server_now: Salesforce's clock.
    :param lead_url: a lead's address from its id.
    :param stop: set where the run is to end early.
    :param began: when the run began, by Salesforce's clock.
    :param user_ids: the integration user, where the token names it.
    :param since: when the execution began, where an earlier try of it may have made jobs; ``None`` in its first.
    :param asks: whether any row may have been sent before, since records are lost.
    :param longest_queued: seconds for which a job may stand in the queue at first, where its leads must be looked up
        right before.
    :param deferred: whether this goes on with the try that made the jobs, after a triggerer has waited for them.
    :param doubt: when, and as whom, rows of a job of the execution may have been written that does not tell it.
    """

    dry_run: bool
    batch_size: int
    concurrency: int
    attempt: int
    now: Callable[[], datetime]
    server_now: Callable[[], datetime]
    lead_url: Callable[[str], str]
    stop: Event
    began: datetime
    user_ids: frozenset[str]
    doubt: Callable[[], UnansweredSend]
    least: int = 0
    since: datetime | None = None
    asks: bool = False
    longest_queued: float = LONGEST_QUEUED
    deferred: bool = False

    def stamped(self, outcome: Outcome) -> Outcome:
        """Return a line with what only the run knows of it."""
        return outcome.stamped(attempt=self.attempt, moment=self.now(), lead_url=self.lead_url)

    def lines(self, columns: Mapping[str, pa.Array]) -> pa.RecordBatch:
        """Lines with what only the run knows of them.

        :param columns: columns of the results, ``key`` among them; those that are not there are null.
        """
        n = len(columns["key"])
        added = {
            "attempt": pa.repeat(pa.scalar(self.attempt, pa.int32()), n),
            "finished_at": pa.repeat(pa.scalar(self.now(), pa.timestamp("us", tz="UTC")), n),
        }
        if "salesforce_id" in columns:
            # The address taken apart, so that a column of them is joined and not formatted.
            before, _, after = self.lead_url("\0").partition("\0")
            added["lead_url"] = pc.binary_join_element_wise(before, columns["salesforce_id"], after, "")
        return pa.RecordBatch.from_pydict({**columns, **added})

    def left(self, batch: pa.RecordBatch, reason: Reason) -> pa.RecordBatch:
        """Return the lines of staged rows that were not sent, or of which nobody knows what became of them."""
        is_placed = "salesforce_id" in batch.schema.names
        columns = {
            "key": batch.column("key"),
            "action": pa.repeat(str(Action.NOT_SENT), batch.num_rows),
            "reason": pa.repeat(str(reason), batch.num_rows),
            "salesforce_id": batch.column("salesforce_id" if is_placed else "lead_id"),
        }
        return self.lines(columns | ({"old_stage": batch.column("old_stage")} if is_placed else {}))
