"""The load: choose how rows are sent, bring each to an outcome, write the account of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from airflow_provider_sfleads.core.describe import parse_describe
from airflow_provider_sfleads.core.report import SyncReport, Tally
from airflow_provider_sfleads.exceptions import ParameterError, ResultsError, SalesforceLeadsError, WriteBackError
from airflow_provider_sfleads.intervals import Interval, interval_of
from airflow_provider_sfleads.operators import choice
from airflow_provider_sfleads.operators.account import Ending, failure_of, report_of, summary
from airflow_provider_sfleads.operators.journal import Execution, Journal, Store
from airflow_provider_sfleads.operators.under_way import Course, LoadSettings, Prepare, UnderWay, Waiting
from airflow_provider_sfleads.results import ResultsFolder, settled_rows, write_back
from airflow_provider_sfleads.results.state_file import StateFile
from airflow_provider_sfleads.results.write_back import CONFIRMED_COLUMNS, check_table

log = logging.getLogger(__name__)


def load(
    settings: LoadSettings, prepare: Prepare, context: Mapping[str, Any], *, deferred: Mapping[str, Any] | None = None
) -> Ending | Waiting:
    """Run one load.

    :param settings: the parameters.
    :param prepare: makes the plan; raises before anything is sent where mapping, org and export do not fit.
    :param context: Airflow's task context.
    :param deferred: what the trigger said, where the same try was deferred and goes on now.
    :return: how it ended, or the jobs that have to be over before it can go on.
    :raises SalesforceLeadsError: where the load cannot even begin; nothing was sent then.
    """
    mode = "DRY RUN: Salesforce is only read" if settings.dry_run else "LIVE: changes are sent to Salesforce"
    interval = _interval(context)
    span = f"{interval.start.isoformat()} to {interval.end.isoformat()}" if interval else "none"
    log.info("%s. Connection %r, interval: %s.", mode, settings.hook.salesforce_conn_id, span)
    with ExitStack() as closing:
        closing.callback(settings.hook.client.close)
        lead = parse_describe(settings.hook.describe("Lead"))
        folder = folder_of(context, base=settings.results_path, dag_id=settings.dag_id, task_id=settings.task_id)
        journal = Journal(store_of(context, folder))
        execution = journal.next(datetime.now(UTC), dry_run=settings.dry_run, deferred=deferred is not None)
        folder = replace(folder, execution=execution.name)
        execution = _with_what_is_lost(execution, folder, context)
        if deferred is not None:
            execution = _with_calls_of(execution, deferred)
        if settings.write_back is not None and not settings.dry_run:
            check_table(settings.write_back)
        under_way = UnderWay(
            settings=settings,
            prepare=prepare,
            lead=lead,
            folder=folder,
            journal=journal,
            execution=execution,
            interval=interval,
            attempt=_try_number(context),
            until_the_end=closing,
        )
        try:
            course = choice.carry_out(under_way)
        except SalesforceLeadsError as error:
            return Ending(report=_end_early(under_way), failure=error)
        except OSError as error:
            _end_early(under_way)
            raise ResultsError(
                f"Results cannot be written below results_path {settings.results_path!r}: {error}"
            ) from error
        except BaseException:
            # Killed, or a bug: what is recorded so far still adds up, and the journal stays open for a retry.
            _end_early(under_way)
            raise
        if isinstance(course, Waiting):
            under_way.keep(**_calls(under_way))
            return course
        return _end(under_way, course)


def _end(under_way: UnderWay, course: Course) -> Ending:
    settings = under_way.settings
    under_way.tally = course.tally
    report = _report(under_way)
    under_way.folder.write_report(report.as_json())
    failure = failure_of(course, report, settings.max_rejects)
    unwritten = _write_back(under_way)
    is_open = bool(report.not_sent or course.export_error or unwritten)
    under_way.keep(**_calls(under_way), open=is_open)
    if not is_open:
        under_way.folder.remove_staging()
    log.info("%s", summary(report))
    return Ending(report=report, failure=unwritten or failure)


def _end_early(under_way: UnderWay) -> SyncReport:
    """Write the report of a try that could not go on; nothing else is left of one that never began."""
    report = _report(under_way)
    with suppress(OSError):
        under_way.folder.write_report(report.as_json())
    if not report.read and not under_way.execution.jobs:
        under_way.folder.remove_staging()
    return report


def _report(under_way: UnderWay) -> SyncReport:
    client, operation = under_way.settings.hook.client, under_way.settings.operation
    tally = under_way.tally or Tally()
    return report_of(tally, operation, client, under_way.folder, under_way.execution, under_way.interval)


def _calls(under_way: UnderWay) -> dict[str, int]:
    """The calls of all processes so far, for the journal."""
    execution, client = under_way.execution, under_way.settings.hook.client
    return {
        "api_calls": execution.api_calls + client.api_calls,
        "token_requests": execution.token_requests + client.token_requests,
    }


def _with_calls_of(execution: Execution, event: Mapping[str, Any]) -> Execution:
    """Count the trigger's calls, too."""
    return replace(
        execution,
        api_calls=execution.api_calls + int(event.get("api_calls") or 0),
        token_requests=execution.token_requests + int(event.get("token_requests") or 0),
    )


def _write_back(under_way: UnderWay) -> SalesforceLeadsError | None:
    """Tell the warehouse; the sync itself stands, whatever becomes of that."""
    table, confirmed, folder = under_way.settings.write_back, under_way.confirmed, under_way.folder
    if table is None or under_way.settings.dry_run:
        return None
    try:
        n = write_back(
            table,
            # Rows that another process sent have a fingerprint unknown here; the old one must not stand for them.
            settled_rows(folder, lambda key: confirmed.sent(key) or "") if confirmed else settled_rows(folder),
            interval_end=under_way.interval.end if under_way.interval else None,
            confirmed_column=CONFIRMED_COLUMNS[under_way.settings.operation] if confirmed else None,
        )
    except SalesforceLeadsError as error:
        return error if error.transient else WriteBackError(f"The leads are synced, but not written back: {error}")
    log.info("Wrote %d rows back to %r.", n, table)
    return None


def _interval(context: Mapping[str, Any]) -> Interval | None:
    """The interval for the report and the write-back; a Param that only happens to be named ``from`` is none."""
    try:
        return interval_of(context)
    except ParameterError as error:
        log.warning("%s The run's data interval is reported instead.", error)
        return interval_of({**context, "params": {}})


def _try_number(context: Mapping[str, Any]) -> int:
    return int(getattr(context["ti"], "try_number", 1))


def _with_what_is_lost(execution: Execution, folder: ResultsFolder, context: Mapping[str, Any]) -> Execution:
    """Note from when on any row may have been sent, where an earlier try has left nothing that would tell."""
    is_gone = execution.tries > 1 and execution.api == "collections" and not folder.directory.exists
    # Airflow's store would have said so if an earlier try had come to the point of sending.
    may_be_gone = context.get("task_state_store") is None and _try_number(context) > 1 and execution.tries == 1
    if execution.asks_from or not (is_gone or (may_be_gone and not any(folder.others()))):
        return execution
    began = getattr(context.get("dag_run"), "start_date", None)
    asks_from = execution.started_at if began is None or is_gone else began.isoformat()
    log.warning("What earlier tries did is not recorded below %s any more.", folder.url)
    return replace(execution, asks_from=asks_from)


def folder_of(context: Mapping[str, Any], *, base: str, dag_id: str, task_id: str) -> ResultsFolder:
    """The folder of a task, less the name of the execution."""
    ti, dag_run = context["ti"], context.get("dag_run")
    map_index = getattr(ti, "map_index", None)
    return ResultsFolder(
        base=base,
        dag_id=getattr(ti, "dag_id", None) or dag_id,
        run_id=getattr(ti, "run_id", None) or getattr(dag_run, "run_id", None) or "no_run",
        task_id=getattr(ti, "task_id", None) or task_id,
        map_index=-1 if map_index is None else map_index,
        execution="_",
    )


def store_of(context: Mapping[str, Any], folder: ResultsFolder) -> Store:
    """Where the task remembers: Airflow's task state store, or else a file below ``results_path``."""
    store: Store | None = context.get("task_state_store")
    return StateFile(folder) if store is None else store
