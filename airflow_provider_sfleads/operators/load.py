"""The load: choose how rows are sent, bring each to an outcome, write the account of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from airflow_provider_sfleads.core.outcome import Action
from airflow_provider_sfleads.core.report import SyncReport
from airflow_provider_sfleads.exceptions import (
    DisownedError,
    ParameterError,
    ResultsError,
    SalesforceLeadsError,
    WriteBackError,
)
from airflow_provider_sfleads.intervals import Interval, interval_of
from airflow_provider_sfleads.operators import load_run
from airflow_provider_sfleads.operators.dry_run_preview import show_preview
from airflow_provider_sfleads.operators.journal import Execution, Journal, folder_of, store_of, try_number, was_cleared
from airflow_provider_sfleads.operators.links import Links
from airflow_provider_sfleads.operators.load_context import LoadContext, LoadOutcome, PendingJobs, Prepare
from airflow_provider_sfleads.operators.load_report import (
    Ending,
    failure_of,
    misrecorded,
    report_of,
    summary,
)
from airflow_provider_sfleads.operators.load_settings import LoadSettings
from airflow_provider_sfleads.operators.lost_records import begun_beside, lost_since, why_anew
from airflow_provider_sfleads.operators.ownership import Ownership
from airflow_provider_sfleads.operators.permissions import check_permissions, describe_lead
from airflow_provider_sfleads.operators.run_order import give_up, turn
from airflow_provider_sfleads.results.announced import Announcements
from airflow_provider_sfleads.results.folder import OWNER, ResultsFolder, StateFile
from airflow_provider_sfleads.results.memory import has_memory, remember
from airflow_provider_sfleads.results.parts import next_number
from airflow_provider_sfleads.results.recorded import any_unknown, open_rows, other_executions, settled_rows, tally_of
from airflow_provider_sfleads.results.write_back import forget, ready_table, write_back
from airflow_provider_sfleads.salesforce.job_control import LASTING, abort

log = logging.getLogger(__name__)


def load(
    settings: LoadSettings, prepare: Prepare, context: Mapping[str, Any], *, deferred: Mapping[str, Any] | None = None
) -> Ending | PendingJobs:
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
    folder = folder_of(context, base=settings.results_path, dag_id=settings.dag_id, task_id=settings.task_id)
    journal = Journal(store_of(context, folder))
    ownership = Ownership(store_of(context, folder, OWNER))
    folder = replace(folder, guard=ownership.verify, process=ownership.token)
    with ExitStack() as closing:
        with _storage_errors(settings):
            ownership.take()
            execution = _execution(journal, folder, settings, context, deferred=deferred is not None)
            folder = replace(folder, execution=execution.name)
            others = other_executions(folder)
        links = Links(context["ti"])
        links.tell_executions(others)
        closing.callback(settings.hook.client.close)
        lead = describe_lead(settings)
        links.show_results(folder)
        links.show_leads(settings.hook.client.base_url)
        if deferred is not None:
            execution = _with_calls_of(execution, deferred)
        if settings.write_back is not None and not settings.dry_run:
            ready_table(settings.write_back, settings.operation, remembers=settings.changed_only)
        load_context = LoadContext(
            settings=settings,
            prepare=prepare,
            lead=lead,
            folder=folder,
            journal=journal,
            execution=execution,
            ownership=ownership,
            interval=interval,
            attempt=try_number(context),
            links=links,
            deferred=deferred is not None,
            until_the_end=closing,
            others=others,
        )
        try:
            check_permissions(load_context)
            closing.enter_context(turn(load_context))
            outcome = load_run.carry_out(load_context)
            if isinstance(outcome, PendingJobs):
                load_context.keep(**_calls(load_context))
                return outcome
            return _end(load_context, outcome)
        except DisownedError:
            raise
        except SalesforceLeadsError as error:
            return Ending(report=_end_early(load_context), failure=error)
        except OSError as error:
            return Ending(report=_end_early(load_context), failure=_unusable(settings, error))
        except BaseException:
            # Killed, or a bug: what is recorded so far still adds up, and the journal stays open for a retry.
            _end_early(load_context)
            raise


@contextmanager
def _storage_errors(settings: LoadSettings) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unusable(settings, error) from error


def _unusable(settings: LoadSettings, error: OSError) -> ResultsError:
    unusable = ResultsError(f"Results cannot be written below results_path {settings.results_path!r}: {error}")
    unusable.__cause__ = error
    return unusable


def _end(load_context: LoadContext, outcome: LoadOutcome) -> Ending:
    settings = load_context.settings
    load_context.tally = outcome.tally
    report = report_of(load_context)
    load_context.folder.write_report(report.as_json())
    failure = failure_of(outcome, report, settings.max_rejects)
    log.info("%s", summary(report))
    broken = misrecorded(outcome, load_context.folder)
    if broken is not None:
        _ask_next(load_context, outcome)
        return Ending(report=report, failure=broken)
    unwritten = _tell(load_context, outcome, report)
    is_open = bool(unwritten) or _goes_on(load_context, outcome, report)
    # The writer completes its last part only when it is closed.
    load_context.keep(**_calls(load_context), open=is_open, next_part=next_number(load_context.folder.directory))
    if not is_open:
        load_context.folder.remove_staging()
    # What a job of this run that nobody has heard of may still write is not in the memory.
    give_up(load_context, for_good=not (unwritten or (is_open and load_context.execution.jobs)))
    return Ending(report=report, failure=unwritten or failure, written_back=load_context.written_back)


def _goes_on(load_context: LoadContext, outcome: LoadOutcome, report: SyncReport) -> bool:
    """Return whether the next try goes on with this execution.

    It does not where jobs have failed for a reason that stays, and no row may be in Salesforce that is not recorded:
    what is mended then may be the rows, so the next one reads the export anew.
    """
    if outcome.export_error or not outcome.is_read:
        return True
    is_for_good = load_context.execution.api == "bulk" and isinstance(outcome.halted, LASTING)
    return bool(report.not_sent) and not (is_for_good and not any_unknown(load_context.folder))


def _ask_next(load_context: LoadContext, outcome: LoadOutcome) -> None:
    """Have the next try ask for each row before it sends it: the records do not tell what was sent."""
    if load_context.settings.dry_run:
        # It has sent nothing, and begins anew.
        load_context.keep(**_calls(load_context), open=False)
        load_context.folder.remove_staging()
        return
    # Of too many lines nobody knows which are right: the next execution begins with none.
    is_open = outcome.read > tally_of(load_context.folder).read
    execution, now = load_context.execution, datetime.now(UTC).isoformat()
    first = next_number(load_context.folder.directory)
    since = execution.asks_from or execution.first_at or execution.started_at
    asks = {"asks_from": since, "asks_until": now, "first_part": first, "next_part": first}
    # In this order: records that look whole, with nothing staged, would be taken for all that was done.
    load_context.keep(**_calls(load_context), **asks, read=None, open=is_open)
    load_context.folder.staged().remove_all()


def _tell(load_context: LoadContext, outcome: LoadOutcome, report: SyncReport) -> SalesforceLeadsError | None:
    """Tell who comes after: of a dry run its reader, else the warehouse and later runs.

    The sync itself stands, whatever becomes of that; a try that follows does it again.
    """
    try:
        if not load_context.settings.dry_run:
            load_context.ownership.verify()
            return _write_back(load_context)
        show_preview(load_context, outcome, report)
    except OSError as error:
        return _unusable(load_context.settings, error)
    return None


def _end_early(load_context: LoadContext) -> SyncReport:
    """Write the report of a try that could not go on; nothing else is left of one that never began."""
    if load_context.tally is None:
        # What earlier tries did is recorded, and still so.
        with suppress(OSError, ResultsError):
            load_context.tally = tally_of(load_context.folder)
    report = report_of(load_context)
    with suppress(OSError):
        load_context.folder.write_report(report.as_json())
    if not load_context.folder.has_begun:
        load_context.folder.remove_staging()
    return report


def _calls(load_context: LoadContext) -> dict[str, int]:
    """Return the calls of all processes so far, for the journal."""
    execution, client = load_context.execution, load_context.settings.hook.client
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


def _write_back(load_context: LoadContext) -> SalesforceLeadsError | None:
    settings, confirmed = load_context.settings, load_context.confirmed
    end = load_context.interval.end if load_context.interval else None
    states = settled_rows(load_context.folder, confirmed.values_of if confirmed else None)
    if settings.write_back is None:
        # A run that remembers nothing may have written what earlier ones did not.
        if confirmed or has_memory(load_context.folder):
            remember(load_context.folder, states, end)
        return None
    try:
        if load_context.tally is not None and load_context.tally.actions[Action.NOT_SENT]:
            forget(settings.write_back, settings.operation, open_rows(load_context.folder))
        n = write_back(
            settings.write_back,
            states,
            interval_end=end,
            operation=settings.operation,
            remembers=confirmed is not None,
        )
    except SalesforceLeadsError as error:
        return error if error.transient else WriteBackError(f"The leads are synced, but not written back: {error}")
    load_context.written_back = n
    log.info("Wrote %d rows back to %r.", n, settings.write_back)
    return None


def _interval(context: Mapping[str, Any]) -> Interval | None:
    """Return the interval for the report and the write-back; a Param that only happens to be named ``from`` is none."""
    try:
        return interval_of(context)
    except ParameterError as error:
        log.warning("%s The run's data interval is reported instead.", error)
        return interval_of({**context, "params": {}})


def _execution(
    journal: Journal, folder: ResultsFolder, settings: LoadSettings, context: Mapping[str, Any], *, deferred: bool
) -> Execution:
    """Return the execution that goes on or begins, with what is lost of those before it."""
    last = journal.last(dry_run=settings.dry_run)
    reason = None
    if last is not None and not deferred:
        beneath = replace(folder, execution=last.name)
        reason = why_anew(last, beneath, settings, datetime.now(UTC))
        if reason is not None:
            log.info("The export is read anew: %s.", reason)
            n = len({digest for digest, _ in Announcements(beneath, str).rows()})
            if n:
                log.warning("%d rows got no answer. Those that the export lost meanwhile stand in %s.", n, beneath.url)
            last = replace(last, open=False)
            # In this order: one that is open, and has lost what it staged, would look like lost records.
            journal.keep(last)
            beneath.remove_staging()
    execution = journal.next(datetime.now(UTC), dry_run=settings.dry_run, deferred=deferred)
    folder = replace(folder, execution=execution.name)
    # A dry run has sent nothing of which records could be lost.
    lost = None if settings.dry_run else lost_since(last, execution, folder, context, deferred=deferred)
    if isinstance(journal.store, StateFile):
        journal.store.begin()
    if last is None or execution.name != last.name:
        execution = replace(execution, cleared=was_cleared(context), refresh=reason is not None)
    return execution if lost is None else _asking(lost, execution, folder, journal, settings)


def _asking(
    since: str, execution: Execution, folder: ResultsFolder, journal: Journal, settings: LoadSettings
) -> Execution:
    """Return the execution as one that has to ask for each row before it sends it, durably: records may not come back.

    Its jobs are aborted first, so that what is asked for afterwards is not created later.
    """
    log.warning("What was done since %s is not recorded below %s any more.", since, folder.url)
    folder.guard()
    for job_id in execution.jobs.values() if execution.open else ():
        abort(settings.hook.client.send, job_id, conn_id=settings.hook.salesforce_conn_id)
    now = datetime.now(UTC).isoformat()
    first = next_number(folder.directory)
    execution = replace(
        execution,
        earlier=begun_beside(folder),
        jobs={},
        parts={},
        first_part=first,
        next_part=first,
        asks_from=since,
        asks_until=now,
        read=None,
    )
    # In this order: the folder alone would look as if nothing were lost.
    journal.keep(execution)
    # What is staged may have been settled, and its record be lost: the export is read anew.
    folder.staged().remove_all()
    folder.begin()
    return execution
