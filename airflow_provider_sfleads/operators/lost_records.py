"""Whether a try can go on with what the tries before it left: the journal, the records, the staged rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_sfleads.exceptions import PlanChangedError
from airflow_provider_sfleads.operators.journal import Execution, try_number
from airflow_provider_sfleads.operators.load_settings import LoadSettings
from airflow_provider_sfleads.results.announced import any_announced
from airflow_provider_sfleads.results.folder import ResultsFolder, StateFile
from airflow_provider_sfleads.results.recorded import any_created, any_unknown
from airflow_provider_sfleads.version_compat import task_state_store

# Clearing a Dag run resets its start; a run is never carried out before the other moments.
_MOMENTS = ("start_date", "queued_at", "run_after", "logical_date")


def lost_since(
    last: Execution | None,
    execution: Execution,
    folder: ResultsFolder,
    context: Mapping[str, Any],
    *,
    deferred: bool,
) -> str | None:
    """Return from when on rows may have been sent whose record is lost, ISO 8601; ``None`` where nothing is.

    :param last: what the journal held.
    :param execution: the live execution that goes on, or begins.
    :param folder: its folder.
    :param deferred: whether this try was deferred before.
    """
    if last is not None:
        is_gone = last.open and last.sends and not _has_records(last, folder)
        since = execution.asks_from or execution.first_at or execution.started_at
        return since if is_gone or _lacks_earlier(execution, folder) else None
    in_jobs = next((other for other in folder.others() if _may_have_jobs(other)), None)
    if in_jobs is not None:
        return in_jobs.began.isoformat()
    # A try that was deferred has kept its execution. So has each that came to the point of sending; but where Airflow
    # has no store for it, the journal lies beside the records and is lost with them.
    is_unknown = not StateFile(folder).exists and not begun_beside(folder)
    may_be_gone = task_state_store(context) is None and try_number(context) > 1 and is_unknown
    return _beginning(context).isoformat() if deferred or may_be_gone else None


def _may_have_jobs(folder: ResultsFolder) -> bool:
    """Return whether jobs may carry staged rows: which ones, only the entry in the store would tell.

    Pages are announced.
    """
    from airflow_provider_sfleads.pipeline.staged_pieces import Pieces, Role

    return folder.has_staged and any(piece.role is not Role.PAGES for piece in Pieces(folder.staged()).all())


def _has_records(last: Execution, folder: ResultsFolder) -> bool:
    """Return whether all is there that an execution that is open had recorded, as far as anybody can tell."""
    return folder.is_staged and folder.holds_parts(last.first_part, last.next_part)


def _lacks_earlier(execution: Execution, folder: ResultsFolder) -> bool:
    """Return whether an execution before this one is gone, or a part of its results."""
    parts = execution.parts.items()
    whole = all(replace(folder, execution=name).holds_parts(first, end) for name, (first, end) in parts)
    return not whole or begun_beside(folder) < execution.earlier


def begun_beside(folder: ResultsFolder) -> int:
    """Return how many live executions of the task, other than that of the folder, have come to the point of sending."""
    return sum(other.has_begun for other in folder.others())


def _beginning(context: Mapping[str, Any]) -> datetime:
    """Return a moment before which the Dag run has done nothing."""
    run = context.get("dag_run")
    moments: list[datetime | None] = [getattr(run, name, None) for name in _MOMENTS]
    return min([datetime.now(UTC), *(moment for moment in moments if moment is not None)])


# What newer runs have written since would be put back by older rows.
_LONGEST_STAGED = timedelta(days=1)


def why_anew(last: Execution, folder: ResultsFolder, settings: LoadSettings, now: datetime) -> str | None:
    """Return why the export is read anew, by a new execution; ``None`` where the open one goes on with what is staged.

    A new execution looks at each row as Salesforce holds it by then, and knows what the one before created, or may
    have: rows that are staged are sent only by the plan that they were staged by.

    :param last: what the journal holds.
    :param folder: its folder.
    :param now: the worker's time.
    :raises PlanChangedError: where neither can be without the risk of a second lead, or of an undone change.
    """
    from airflow_provider_sfleads.pipeline.staged_pieces import Pieces

    if not last.open or last.asks_from is not None:
        return None
    if not folder.is_staged:
        is_left = last.sends and not last.jobs and folder.has_begun
        is_whole = is_left and folder.holds_parts(last.first_part, last.next_part)
        return "what an earlier try staged is not there any more, but its records are" if is_whole else None
    asked = settings.asked
    changed = {name for name, digest in last.asked.items() if digest != asked.get(name)}
    is_old = now - datetime.fromisoformat(last.started_at) > _LONGEST_STAGED
    if not changed and not is_old:
        return None
    pieces = Pieces(folder.staged())
    is_carried = pieces.in_jobs(last.jobs) or any(piece.is_doubtful for piece in pieces.all())
    is_doubtful = is_carried or any_announced(folder) or any_unknown(folder)
    # A lead that its answer did not name is found by the values that were sent, where it has no external ID.
    is_found_by_values = settings.change.creates and settings.external_id_field is None
    if "plan" in changed and (is_carried or (is_doubtful and is_found_by_values)):
        raise PlanChangedError(
            "The Dag has another mapping, or other parameters, than the try before, and rows of that are not settled: "
            "a bulk job holds them, or they got no answer. Set the parameters back for this run and clear the task, so "
            "that those rows are settled; then change them."
        )
    if "identity" in changed and settings.change.creates and (is_doubtful or any_created(folder)):
        raise PlanChangedError(
            "key, external_id_field or match_email is another one than in the try before, which has created leads that "
            "this run could not find by it. Set it back for this run and clear the task; then change it."
        )
    if is_carried or (is_doubtful and not changed):
        return None
    if changed:
        return "the mapping, the parameters or the export are other ones than its rows were staged by"
    return "its rows were staged more than a day ago"
