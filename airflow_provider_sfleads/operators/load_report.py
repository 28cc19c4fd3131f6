"""The end of a load: its report, and the error it fails with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from airflow_provider_sfleads.core.outcome import Action
from airflow_provider_sfleads.core.report import Entry, SyncReport, Tally, entry_of, in_all, too_many_rejects
from airflow_provider_sfleads.exceptions import (
    BulkJobError,
    ObjectAccessError,
    RejectsExceededError,
    ResultsError,
    RowsNotSentError,
    SalesforceLeadsError,
)
from airflow_provider_sfleads.operators.journal import Execution
from airflow_provider_sfleads.operators.load_context import LoadContext, LoadOutcome
from airflow_provider_sfleads.pipeline.lookup import STATUS_FIELDS
from airflow_provider_sfleads.results.folder import ResultsFolder
from airflow_provider_sfleads.results.recorded import other_executions, tally_of
from airflow_provider_sfleads.salesforce.error_codes import look_up
from airflow_provider_sfleads.salesforce.job_control import LASTING

_NAMED_REASONS, _NAMED_REMEDIES = 5, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a load ended: the report, and the error the task fails with.

    :param written_back: rows that were written back to the warehouse; ``None`` where nothing was.
    """

    report: SyncReport
    failure: SalesforceLeadsError | None
    written_back: int | None = None


def report_of(load: LoadContext) -> SyncReport:
    """Make the report of an execution: over all its tries, and with what each execution of its task came to."""
    settings, execution, folder, interval = load.settings, load.execution, load.folder, load.interval
    client, tally = settings.hook.client, load.tally or Tally()
    usage = client.api_usage
    report = SyncReport(
        **tally.counts(),
        api_calls=execution.api_calls + client.api_calls,
        token_requests=execution.token_requests + client.token_requests,
        api=_api(tally, execution),
        api_reason=_api_reason(tally, execution),
        job_ids=tuple(execution.jobs.values()),
        results_path=folder.url,
        rejects_path=folder.rejects_url,
        dry_run=execution.dry_run,
        started_at=execution.started_at,
        finished_at=datetime.now(UTC).isoformat(),
        host=client.base_url.partition("://")[2],
        operation=settings.operation,
        interval_start=interval.start.isoformat() if interval else None,
        interval_end=interval.end.isoformat() if interval else None,
        attempts=execution.tries,
        reject_reasons=tally.reject_reasons(),
        unchanged_reasons=dict(tally.unchanged.most_common()),
        api_usage={"used": usage.used, "max": usage.max} if usage else None,
        executions=(),
        not_visible=load.lead.unseen(STATUS_FIELDS),
    )
    own = entry_of(execution.name, report, cleared=execution.cleared)
    return replace(report, executions=(*_other_executions(load), own))


def _other_executions(load: LoadContext) -> Sequence[Entry]:
    """Return what the other executions came to, less what this one has found to be its own: what their records lack."""
    if load.counts_anew:
        with suppress(OSError):
            return other_executions(load.folder, by_rows=True)
    return load.others


def _api(tally: Tally, execution: Execution) -> str:
    if execution.jobs:
        return "bulk"
    return "collections" if tally.sent else "none"


def _api_reason(tally: Tally, execution: Execution) -> str:
    if tally.sent or execution.jobs:
        return execution.api_reason
    if execution.dry_run:
        return "a dry run sends nothing"
    return "sending stopped before the first row" if tally.counts()["not_sent"] else "no row was left to send"


def failure_of(run: LoadOutcome, report: SyncReport, max_rejects: float) -> SalesforceLeadsError | None:
    """Return what the task fails with, now that everything is recorded; ``None`` where it is a success.

    Rows not sent go before rejects: they are worth a retry, and it comes upon the rejects again.
    """
    if report.not_sent and isinstance(run.halted, LASTING):
        return _beyond_retry(run.halted, report)
    if report.not_sent:
        cause = run.halted or run.export_error
        reason = f" Sending stopped: {run.halted}" if run.halted else ""
        if run.known_from is not None:
            moment = f"{run.known_from.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
            reason += f" From {moment} UTC on Salesforce can tell what became of rows that were sent without an answer."
        reason += f" Reading stopped: {run.export_error}" if run.export_error else ""
        error = RowsNotSentError(
            f"{report.not_sent:,} of {report.read:,} rows were not sent, or what became of them is not known; a retry "
            f"of the task goes on with them.{reason} Per row: {report.results_path}"
        )
        error.__cause__ = cause
        error.retry_after = _worthwhile_in(run)
        return error
    if run.export_error is not None:
        return run.export_error
    if not run.is_read:
        return RowsNotSentError(
            f"The task was told to stop before the export was read to its end: {report.read:,} rows were read, and the "
            "rest is not known. A retry of the task reads it anew."
        )
    if too_many_rejects(report.rejected, report.read, max_rejects):
        return RejectsExceededError(
            f"{report.rejected:,} of {report.read:,} rows were rejected{_top(report.reject_reasons)}, more than "
            f"max_rejects={max_rejects} allows; everything else is done. Mend the rows in {report.rejects_path} and "
            f"feed the file back as a FileExport.{_remedies(report.reject_reasons)}"
        )
    return None


def _beyond_retry(halted: BulkJobError | ObjectAccessError, report: SyncReport) -> SalesforceLeadsError:
    """Return the error of a run that stopped for a reason that the next try would meet again."""
    told = (
        f"{report.not_sent:,} of {report.read:,} rows were not sent, and no retry is made. {halted} When that is done, "
        f"clear the task: what was not sent is sent then. Per row: {report.results_path}"
    )
    error: SalesforceLeadsError
    if isinstance(halted, ObjectAccessError):
        error = ObjectAccessError(told, status=halted.status, codes=halted.codes)
    else:
        error = BulkJobError(told)
    error.__cause__ = halted
    return error


def _remedies(reasons: Mapping[str, int]) -> str:
    """Return what to do about the commonest codes whose cure does not lie in the rows."""
    found = [f" {code}: {remedy}" for code in reasons if (remedy := look_up(code).advice_for_rows)]
    return "".join(found[:_NAMED_REMEDIES])


def misrecorded(run: LoadOutcome, folder: ResultsFolder) -> ResultsError | None:
    """Return the error of a run whose results are not what it wrote.

    Lost in part or whole, or written by somebody else, too.

    Every row that was read is one line; a run that says so without looking would be green over records that are gone.
    """
    recorded = tally_of(folder)
    if recorded.read == run.read and recorded.actions == run.tally.actions:
        return None
    said = f"{recorded.read:,} rows are recorded in {folder.url}, and {run.read:,} were read"
    if recorded.read == run.read:
        said = f"{folder.url} records other outcomes than this run wrote"
    return ResultsError(
        f"{said}: the storage lost results, or another process wrote there. See that results_path keeps what is "
        "written to it. A retry of the task asks Salesforce for the leads whose records are lost (bulk without an "
        "external ID cannot, and says what can), and sends none twice."
    )


def _worthwhile_in(run: LoadOutcome) -> float | None:
    """Return seconds until another try can help, where that is known."""
    waits = [error.retry_after for error in (run.halted, run.export_error) if error is not None and error.retry_after]
    if run.known_from is not None:
        waits.append(max(0.0, (run.known_from - datetime.now(UTC)).total_seconds()))
    return max(waits, default=None)


def summary(report: SyncReport) -> str:
    """Return the report in one line for the log."""
    names = [action.value for action in Action] + ["duplicate_keys"]
    counts = report.as_json()
    reasons = {"rejected": report.reject_reasons, "unchanged": report.unchanged_reasons}
    parts = [f"{name} {counts[name]:,}{_top(reasons.get(name))}" for name in names if counts.get(name)]
    line = f"read {report.read:,}: {', '.join(parts) or 'nothing'}; {report.api_calls} API calls; {report.results_path}"
    return "; ".join(filter(None, (line, in_all(report))))


def _top(reasons: Mapping[str, int] | None) -> str:
    if not reasons:
        return ""
    return f" ({', '.join(f'{reason} {n:,}' for reason, n in list(reasons.items())[:_NAMED_REASONS])})"
