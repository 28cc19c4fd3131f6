"""A newer run is never undone: runs that could undo each other take turns, and each looks once more when it sends."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_sfleads.exceptions import ExportError, SalesforceLeadsError
from airflow_provider_sfleads.operators.prefilter import key_digests
from airflow_provider_sfleads.results.claims import Claims, digest_of
from airflow_provider_sfleads.results.confirmed_values import NewerRows
from airflow_provider_sfleads.results.lease import Lease
from airflow_provider_sfleads.results.memory import confirmed_in_results, confirmed_in_table, count_newer
from airflow_provider_sfleads.salesforce.ingest_jobs import JobState
from airflow_provider_sfleads.salesforce.job_control import look, try_to_abort

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_provider_sfleads.hooks.salesforce import SalesforceLeadsHook
    from airflow_provider_sfleads.operators.load_context import LoadContext, Plan
    from airflow_provider_sfleads.operators.load_settings import LoadSettings
    from airflow_provider_sfleads.pipeline.ports import Newer

log = logging.getLogger(__name__)

T = TypeVar("T")

# How often a warehouse that cannot be read is asked again at most, with so many seconds more before each time: a file
# of DuckDB is locked for as long as somebody writes to it.
_ATTEMPTS = 6
_PAUSE = 0.5


@contextmanager
def turn(load: LoadContext) -> Iterator[None]:
    """Hold the turn on the load's memory in the block, where it needs one; given up for now unless :func:`give_up`.

    :raises LeaseTakenError: where another run has it for too long.
    """
    end = _undoable_until(load.settings, load)
    if end is None:
        yield
        return
    settings, own = load.settings, load.folder
    names = (own.dag_id, own.run_id, own.task_id, str(own.map_index))
    lease = Lease(
        claims=Claims.to(own.of_dag.parent, *_memory_of(load)),
        name=digest_of(*names),
        holder=f"run {own.run_id!r} of task {own.task_id!r} in Dag {own.dag_id!r}",
        interval_end=end,
        is_over=lambda job_id: _is_over(settings.hook, job_id),
        wait=settings.stop.wait,
        pace=settings.pace,
    )
    lease.acquire(tuple(load.execution.jobs.values()) if load.execution.open else ())
    load.lease = lease
    try:
        yield
    finally:
        # One that has begun nothing has nothing to be remembered.
        give_up(load, for_good=not own.has_begun)


def give_up(load: LoadContext, *, for_good: bool) -> None:
    """Give the load's turn up.

    :param for_good: whether everything that it sent is over, and in the memory.
    """
    lease, load.lease = load.lease, None
    if lease is not None:
        (lease.release if for_good else lease.leave)()


def _undoable_until(settings: LoadSettings, load: LoadContext) -> datetime | None:
    """Return the end of the load's interval.

    Where it could undo what newer ones wrote and there is a memory that tells.
    """
    remembers = settings.write_back is not None or settings.changed_only
    is_needed = settings.may_undo and remembers and not settings.dry_run
    return load.interval.end if is_needed and load.interval is not None else None


def _memory_of(load: LoadContext) -> tuple[str, ...]:
    """Return what tells one memory from another; days of the other operator are no reason to wait."""
    table, own = load.settings.write_back, load.folder
    if table is not None:
        return (load.settings.operation, "table", table.conn_id, table.table.lower())
    return (load.settings.operation, "results", own.dag_id, own.task_id, str(own.map_index))


def _is_over(hook: SalesforceLeadsHook, job_id: str) -> bool:
    """Return whether nothing more comes of a job of a run that is gone.

    One that was never closed is aborted for that.
    """
    try:
        job = look(hook.client.send, job_id, conn_id=hook.salesforce_conn_id)
        if job is None or job.state is not JobState.OPEN:
            return job is None or job.is_over
        log.warning("Job %s was left open by a run that is gone.", job_id)
        return try_to_abort(hook.client.send, job_id, conn_id=hook.salesforce_conn_id)
    except SalesforceLeadsError as error:
        log.warning("Whether job %s is over cannot be told now: %s", job_id, error)
        return False


def late_check(load: LoadContext, plan: Plan) -> Newer | None:
    """Return what is asked of the rows of each page and each job right before they are sent."""
    end = _undoable_until(load.settings, load) if plan.may_undo else None
    if end is None:
        return None
    if load.newer is None:
        load.newer = load.until_the_end.enter_context(_newer_rows(load, plan, end))
    rows = load.newer

    def newer(keys: Sequence[str]) -> Mapping[int, str | None]:
        found = _patiently(lambda: rows.among(keys), load.settings.stop.wait)
        if load.lease is not None:
            load.lease.verify()
        return found

    return newer


def _patiently(ask: Callable[[], T], wait: Callable[[float], object]) -> T:
    attempt = 1
    while True:
        try:
            return ask()
        except ExportError as error:
            if not error.transient or attempt == _ATTEMPTS:
                raise
            wait(_PAUSE * attempt)
            attempt += 1


def _newer_rows(load: LoadContext, plan: Plan, end: datetime) -> NewerRows:
    table, operation, digests = load.settings.write_back, load.settings.operation, key_digests(plan)
    if table is None:
        # All runs on this memory take turns at one place, so that nobody adds to it meanwhile.
        def recorded() -> Iterator[pa.RecordBatch]:
            found = confirmed_in_results(load.folder, values=False, interval_end=end)
            return (batch.filter(batch.column("is_newer")) for batch in found)

        return NewerRows(load.folder.staging(), digests, count=lambda: 1, rows=recorded)
    return NewerRows(
        load.folder.staging(),
        digests,
        count=lambda: count_newer(table, operation, end),
        rows=lambda: confirmed_in_table(table, operation, values=False, interval_end=end),
    )
