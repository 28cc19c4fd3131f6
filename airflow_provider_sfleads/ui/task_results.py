"""Find where the results of a task instance lie, and make sure that they are its own."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow.models.renderedtifields import RenderedTaskInstanceFields

from airflow_provider_sfleads.core.executions import Entry, gathered
from airflow_provider_sfleads.results.executions import execution_names, written_reports
from airflow_provider_sfleads.results.folder import REPORT, ResultsFolder, is_execution
from airflow_provider_sfleads.results.small_json import read_small_json
from airflow_provider_sfleads.ui.syncs import SyncFilter, report_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

# Each report tells of the executions before it, too.
_MOST_REPORTS = 100


class NoResultsError(LookupError):
    """There are no results of such a task instance; the message says why, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskKey:
    """A task instance, by its names."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1


def executions_of(session: Session, task: TaskKey) -> tuple[ResultsFolder, list[str]]:
    """Return a folder of the task instance, and the names of its executions, newest first.

    A path comes from the task's XCom, which people may edit: only a folder that is named by this very task instance is
    looked into, so that nobody reads the rows of another Dag through it.

    :raises NoResultsError: where there is nothing to be seen.
    :raises Exception: where the storage cannot be read from here; each storage has errors of its own.
    """
    folder = _folder_of(session, task)
    problem = folder.directory.parent.link_problem
    if problem is not None:
        raise NoResultsError(problem)
    names = execution_names(folder)
    if not names:
        raise NoResultsError(
            f"There are no results in {folder.url.rpartition('/')[0]}. Nothing was written yet, or it was removed, or"
            " it lies on a disk of the worker's that the API server does not see, or under another user than the API"
            " server's."
        )
    return folder, names


def execution_folder(folder: ResultsFolder, names: list[str], execution: str) -> ResultsFolder:
    """Return the folder of one execution, of the newest where none is named.

    :raises NoResultsError: where there is no such execution.
    """
    if execution and execution not in names:
        raise NoResultsError(f"There is no execution {execution!r} of this task; there are: {', '.join(names)}.")
    return replace(folder, execution=execution or names[0])


def history_of(folder: ResultsFolder, names: list[str]) -> tuple[Entry, ...]:
    """Return what the executions of the task instance came to, oldest first; those that left no report are not in it.

    No more than the newest hundred reports are read, each of which tells of a thousand executions at most.

    :param names: of the executions that are there, newest first.
    """
    return gathered(written_reports(folder, names[:_MOST_REPORTS]))


def written_report(folder: ResultsFolder) -> tuple[dict[str, Any] | None, str | None]:
    """Return the execution's report, or what is wrong with it; neither where it is under way, or was killed."""
    if not folder.directory.has(REPORT):
        return None, None
    try:
        found = read_small_json(folder.directory, REPORT)
    except ValueError as problem:
        return None, f"{REPORT} cannot be read: {problem}."
    return (found, None) if isinstance(found, dict) else (None, f"{REPORT} cannot be read: it is no report.")


def _folder_of(session: Session, task: TaskKey) -> ResultsFolder:
    report = report_of(session, SyncFilter(**asdict(task)))
    if report is not None:
        return _checked(report.results_path, task)
    base = _rendered(session, task)
    if base is None:
        raise NoResultsError(
            f"Task {task.task_id!r} of {task.dag_id!r}, run {task.run_id!r}, is no sync of leads, or has not begun."
        )
    return ResultsFolder(base=base, execution="", **asdict(task))


def _checked(url: str, task: TaskKey) -> ResultsFolder:
    """The folder at a report's ``results_path``, where it is the task's own."""
    parts = url.rstrip("/").split("/")
    folder = ResultsFolder(base="/".join(parts[:-5]), execution=parts[-1], **asdict(task))
    if not is_execution(parts[-1]) or folder.url != url.rstrip("/"):
        raise NoResultsError(f"The report's results_path, {url!r}, is not the folder of this task instance.")
    return folder


def _rendered(session: Session, task: TaskKey) -> str | None:
    """The operator's ``results_path`` as Airflow noted it when the task began."""
    found = session.get(RenderedTaskInstanceFields, asdict(task))
    base = (found.rendered_fields or {}).get("results_path") if found is not None else None
    return base if isinstance(base, str) and base else None
