"""Find where the results of a task instance lie, and make sure that they are its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow.models.renderedtifields import RenderedTaskInstanceFields

from airflow_provider_sfleads.core.report import Entry, gathered
from airflow_provider_sfleads.results.confined import ConfinedReader, UnreadableError
from airflow_provider_sfleads.results.files import Directory, read_small_json
from airflow_provider_sfleads.results.folder import REPORT, ResultsFolder, is_execution
from airflow_provider_sfleads.results.part_rows import Wanted, most_frequent
from airflow_provider_sfleads.results.parts import part_names
from airflow_provider_sfleads.results.recorded import execution_names, written_reports
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


def executions_of(session: Session, task: TaskKey, execution: str) -> tuple[ResultsFolder, list[str]]:
    """Return the folder of one of the task instance's executions, and the names of all of them, newest first.

    A path comes from the task's XCom, which people may edit: only a folder that is named by this very task instance is
    looked into, so that nobody reads the rows of another Dag through it.

    :param execution: its name; the newest one if empty.
    :raises NoResultsError: where there is nothing to be seen, or no such execution.
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
    if execution and execution not in names:
        raise NoResultsError(f"There is no execution {execution!r} of this task; there are: {', '.join(names)}.")
    return replace(folder, execution=execution or names[0]), names


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
    """Return the folder at a report's ``results_path``, where it is the task's own."""
    parts = url.rstrip("/").split("/")
    folder = ResultsFolder(base="/".join(parts[:-5]), execution=parts[-1], **asdict(task))
    if not is_execution(parts[-1]) or folder.url != url.rstrip("/"):
        raise NoResultsError(f"The report's results_path, {url!r}, is not the folder of this task instance.")
    return folder


def _rendered(session: Session, task: TaskKey) -> str | None:
    """Return the operator's ``results_path`` as Airflow noted it when the task began."""
    found = session.get(RenderedTaskInstanceFields, asdict(task))
    base = (found.rendered_fields or {}).get("results_path") if found is not None else None
    return base if isinstance(base, str) and base else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultsPage:
    """Some rows of an execution.

    :param rows: by the columns' names; times are ISO 8601.
    :param total: how many rows there are that were wanted.
    :param actions: rows of each action, of the whole execution.
    :param codes: rejected rows of each error code, likewise; most frequent first, and
        no more than a thousand.
    :param problems: which parts could not be read, and why; their rows are not in what is told.
    """

    rows: Sequence[Mapping[str, object]]
    total: int
    actions: Mapping[str, int]
    codes: Mapping[str, int]
    problems: Sequence[str] = ()


def page_of(directory: Directory, wanted: Wanted, *, offset: int, limit: int) -> ResultsPage:
    """Return wanted rows, in the order of the results.

    The parts are read by a process of its own, whose memory and time are bounded (:mod:`~.confined`).

    :param directory: folder of the execution.
    :param offset: wanted rows before the page.
    :param limit: rows to a page.
    :raises OSError: where the storage cannot be read.
    """
    try:
        return _look(directory, wanted, offset, limit)
    except FileNotFoundError:
        # While a task runs, its small parts become large ones; once joined, they are not joined again at once.
        return _look(directory, wanted, offset, limit)


def _look(directory: Directory, wanted: Wanted, offset: int, limit: int) -> ResultsPage:
    rows: list[Mapping[str, object]] = []
    problems: list[str] = []
    total = 0
    actions, codes = Counter[str](), Counter[str]()
    with ConfinedReader() as reader:
        for name in part_names(directory):
            skip, left = max(offset - total, 0), limit - len(rows)
            try:
                with directory.open(name) as stream:
                    found = reader.rows_of(stream, wanted, skip=skip, limit=left)
            except (UnreadableError, PermissionError) as problem:
                problems.append(f"{name} cannot be read: {problem}")
                continue
            rows += found.rows
            total += found.total
            actions = Counter(most_frequent(actions + Counter(found.actions)))
            codes = Counter(most_frequent(codes + Counter(found.codes)))
    return ResultsPage(rows=rows, total=total, actions=actions, codes=most_frequent(codes), problems=problems)
