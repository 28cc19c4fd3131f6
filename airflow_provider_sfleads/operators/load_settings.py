"""All that a load is asked for, as one frozen value."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields
from datetime import timedelta
from threading import Event
from typing import TYPE_CHECKING

from airflow_provider_sfleads.pipeline.plan_settings import PlanSettings
from airflow_provider_sfleads.results.lease import Pace
from airflow_provider_sfleads.salesforce.ingest_jobs import LONGEST_QUEUED

if TYPE_CHECKING:
    from airflow_provider_sfleads.exports import FileExport, SqlExport, SqlTable
    from airflow_provider_sfleads.hooks.salesforce import SalesforceLeadsHook

#: How long after a call was sent it may still take effect: Salesforce lets it run for 10 minutes ("API Request
#: Limits and Allocations"), and to connect and to send takes time, too.
LATE_COMMIT = timedelta(minutes=12)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSettings(PlanSettings):
    """The rendered and checked parameters of a load; see the operators for their meaning.

    :param stop: set when the task is killed.
    :param pace: how runs that could undo each other take turns.
    :param late_commit: how long after a call was sent not finding a lead is no proof that it was not created.
    :param longest_queued: seconds for which a job of a stage load may stand in the queue at first.
    """

    dag_id: str
    task_id: str
    stop: Event
    hook: SalesforceLeadsHook
    export: SqlExport | FileExport
    write_back: SqlTable | None
    results_path: str
    api: str
    batch_size: int
    concurrency: int
    max_rejects: float
    deferrable: bool
    changed_only: bool
    full_refresh: bool
    pace: Pace = field(default_factory=Pace)
    late_commit: timedelta = LATE_COMMIT
    longest_queued: float = LONGEST_QUEUED

    @property
    def asked(self) -> str:
        """Digest of what decides which rows are staged, and how: the export, its mapping, and what is asked for."""
        plan: list[object] = [getattr(self, each.name) for each in fields(PlanSettings)]
        # An export of somebody's own has perhaps no text that is the same in each try.
        export = repr(self.export) if "at 0x" not in repr(self.export) else ""
        return hashlib.blake2b(repr([export, *plan]).encode(errors="replace"), digest_size=16).hexdigest()
