"""How staged rows are sent, and how the lines of the results are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sfleads.core.outcome import Action, Outcome, Reason, UnansweredSend
from airflow_provider_sfleads.salesforce.ingest_jobs import LONGEST_QUEUED

if TYPE_CHECKING:
    from threading import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTerms:
    """How staged rows are sent.

    :param dry_run: send no change.
    :param least: loads of so many rows or fewer go through sObject Collections (2,000 under ``api="auto"``, else 0).
    :param attempt: try number of the task.
    :param now: the clock.
    :param server_now: Salesforce's clock.
    :param lead_url: a lead's address from its id.
    :param stop: set where the run is to end early.
    :param since: when the execution began, where an earlier try of it may have made jobs; ``None`` in its first.
    :param asks: whether any row may have been sent before, since records are lost.
    :param longest_queued: seconds for which a job may stand in the queue at first, where its leads must be looked up
        right before.
    :param deferred: whether this goes on with the try that made the jobs, after a triggerer has waited for them.
    :param doubt: when, and as whom, rows of a job of the execution may have been written that does not tell it.
    """

    dry_run: bool
    least: int
    attempt: int
    now: Callable[[], datetime]
    server_now: Callable[[], datetime]
    lead_url: Callable[[str], str]
    stop: Event
    doubt: Callable[[], UnansweredSend]
    since: datetime | None = None
    asks: bool = False
    longest_queued: float = LONGEST_QUEUED
    deferred: bool = False

    def stamped(self, outcome: Outcome) -> Outcome:
        """A line with what only the run knows of it."""
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
        """The lines of staged rows that were not sent, or of which nobody knows what became of them."""
        is_placed = "salesforce_id" in batch.schema.names
        columns = {
            "key": batch.column("key"),
            "action": pa.repeat(str(Action.NOT_SENT), batch.num_rows),
            "reason": pa.repeat(str(reason), batch.num_rows),
            "salesforce_id": batch.column("salesforce_id" if is_placed else "lead_id"),
        }
        return self.lines(columns | ({"old_stage": batch.column("old_stage")} if is_placed else {}))
