"""All that a load is asked for, as one frozen value."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, fields, is_dataclass
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
    def asked(self) -> dict[str, str]:
        """Digests of what decides which rows are staged, and how, the same in every process.

        ``export`` is for where the rows come from, ``plan`` for what becomes of them, and ``identity`` for the part of
        the plan by which a lead is found again.
        """
        plan = {each.name: getattr(self, each.name) for each in fields(PlanSettings)}
        identity = [self.key, self.external_id_field, self.match_email]
        return {"export": _digest(self.export), "plan": _digest(plan), "identity": _digest(identity)}


def _digest(value: object) -> str:
    return hashlib.blake2b(_canonical(value).encode(errors="replace"), digest_size=16).hexdigest()


def _canonical(value: object) -> str:
    """Write a value in a form that does not go by the order of a set in one process, or by where an object lies."""
    if is_dataclass(value) and not isinstance(value, type):
        members = {each.name: getattr(value, each.name) for each in fields(value) if each.compare}
        return type(value).__name__ + _canonical(members)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_canonical(key)}:{_canonical(each)}" for key, each in value.items()) + "}"
    if isinstance(value, AbstractSet):
        return "{" + ",".join(sorted(map(_canonical, value))) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_canonical, value)) + "]"
    text = repr(value)
    # An object of somebody's own has perhaps no text that is the same in each try.
    return "object" if "at 0x" in text else text
