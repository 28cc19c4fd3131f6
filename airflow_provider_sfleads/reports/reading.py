"""Find the reports below ``results_path``, read them many at a time, and sum them up."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import NamedTuple

from airflow_provider_sfleads.core.report import SyncReport, gathered, shown
from airflow_provider_sfleads.exceptions import ParameterError
from airflow_provider_sfleads.results.files import MAX_JSON_BYTES, Directory, directory_at, small_json
from airflow_provider_sfleads.results.folder import DRY_RUN, REPORT, is_execution, path_part
from airflow_provider_sfleads.salesforce.paging import cut

# Files asked for together: storages that can do so fetch them side by side.
_TOGETHER = 64
_NONE_YET = "there is no report: the task is under way, or was killed"
_UNKNOWN = datetime.max.replace(tzinfo=UTC)
# What is summed, by the names in the report.
_SUMMED = (
    "read", "created", "updated", "would_create", "would_update", "unchanged", "filtered", "duplicate_keys", "rejected",
    "not_sent", "api_calls",
)  # fmt: skip


class Execution(NamedTuple):
    """An execution of a task, by the names of its folders."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedReport:
    """What was found of one execution of a task.

    :param dag_id: Dag, as its folder is named: odd characters are replaced there.
    :param run_id: Dag run, likewise.
    :param task_id: task, likewise.
    :param map_index: -1 for a task that is not mapped.
    :param execution: name of the execution.
    :param path: of the report at its storage.
    :param report: the report; ``None`` where there is none that can be read.
    :param problem: why not.
    :param is_written: whether there is a file, be it a report or not.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    execution: str
    path: str
    report: SyncReport | None
    problem: str | None = None
    is_written: bool = True

    @property
    def moment(self) -> datetime | None:
        """The start of what it is about: its interval, or the sync itself where it has none."""
        return None if self.report is None else self.report.moment


@dataclass(slots=True)
class Totals:
    """The sums over reports; live ones and dry runs are not to be mixed.

    What a task instance was cleared and run again for is in its report's numbers, see
    :func:`~airflow_provider_sfleads.core.report.shown`.

    :param syncs: how many reports.
    :param counts: the sum of each count, by its name in the report.
    :param seconds: the sum of what each took; they may have run side by side.
    :param reject_reasons: rows by error code. Each report names its 20 most frequent ones.
    """

    syncs: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    reject_reasons: Counter[str] = field(default_factory=Counter)

    def add(self, report: SyncReport) -> None:
        """Add one report."""
        self.syncs += 1
        self.counts.update(shown(report))
        self.seconds += report.seconds or 0.0
        self.reject_reasons.update(report.reject_reasons)

    def as_json(self) -> dict[str, object]:
        """Return the sums as plain JSON values, the most frequent error code first."""
        counts = {name: self.counts[name] for name in _SUMMED}
        reasons = dict(self.reject_reasons.most_common())
        return {"syncs": self.syncs, **counts, "seconds": round(self.seconds, 3), "reject_reasons": reasons}


def read_reports(
    results_path: str,
    *,
    dag_id: str | None = None,
    task_id: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    all_executions: bool = False,
) -> Iterator[RecordedReport]:
    """Yield the reports below the ``results_path`` of operators, by the start of their intervals.

    Of each task instance the newest report is yielded, or two of them: that of its newest dry run comes beside that of
    its newest live one. Its ``executions`` are all that left a report, so that
    :func:`~airflow_provider_sfleads.core.report.shown` tells what they come to. What cannot be read is yielded with
    a ``problem``, as is an execution that is newer and has no report: it is under way, or was killed.

    :param results_path: any URL that ``ObjectStoragePath`` takes, also with a connection: ``s3://conn_id@bucket/folder``.
    :param dag_id: only this Dag.
    :param task_id: only this task.
    :param since: only intervals that start then or later; without a zone it is UTC.
    :param until: only intervals that start before.
    :param all_executions: each execution alone, also what was cleared and run once more since.
    :raises ParameterError: where nothing can be read at ``results_path``, or a link leads to what is asked for.
    :raises OSError: where its storage fails.
    """
    if not results_path:
        raise ParameterError("results_path is empty; say where the results of the syncs lie.")
    try:
        root = directory_at(results_path)
    except (ValueError, ImportError) as problem:
        raise ParameterError(f"results_path {results_path!r} cannot be used: {problem}") from None
    if not root.exists:
        raise ParameterError(f"results_path {results_path!r}: there is nothing.")
    first, last = _with_zone(since), _with_zone(until)
    found = [
        each
        for folder in ([path_part(dag_id)] if dag_id else root.folders())
        for each in _of_dag(root, folder, task_id=task_id, all_executions=all_executions)
        if each.moment is None or ((first is None or each.moment >= first) and (last is None or each.moment < last))
    ]
    yield from sorted(found, key=lambda each: (each.moment or _UNKNOWN, each.path))


def _with_zone(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _of_dag(root: Directory, dag: str, *, task_id: str | None, all_executions: bool) -> Iterator[RecordedReport]:
    executions = _executions(root, dag)
    chosen = [each for each in executions if task_id is None or each.task_id == path_part(task_id)]
    found = dict(zip(chosen, _read(root, chosen, executions), strict=True))
    for group in _by_task(chosen).values():
        each_of = [found[each] for each in group]
        yield from map(_alone, each_of) if all_executions else _together(each_of)


def _alone(found: RecordedReport) -> RecordedReport:
    """Return a report that stands for its own execution, since each other one has its own."""
    return found if found.report is None else replace(found, report=replace(found.report, executions=()))


def _together(group: Sequence[RecordedReport]) -> Iterator[RecordedReport]:
    """Yield the newest report, with what each execution came to; those that are newer and have none; what is lacking.

    :param group: the executions of a task instance, all live or all dry, oldest first.
    """
    named = [(each.execution, each.report) for each in reversed(group) if each.report is not None]
    told = gathered(named)
    names = {str(entry["execution"]) for entry in told}
    newest = named[0][0] if named else ""
    for each in group:
        if each.report is not None and each.execution == newest:
            yield replace(each, report=replace(each.report, executions=told))
        elif each.report is None and (each.execution > newest or (each.is_written and each.execution not in names)):
            yield each


def _executions(root: Directory, dag: str) -> dict[Execution, bool]:
    """Return the executions there are of a Dag, and whether each has a report; one listing, however many there are."""
    found: dict[Execution, bool] = {}
    folder = root.child(dag)
    problem = folder.link_problem
    if problem is not None:
        raise ParameterError(problem)
    for path in folder.below():
        parts = [dag, *path.split("/")]
        names, rest = parts[: len(Execution._fields)], parts[len(Execution._fields) :]
        if rest and is_execution(names[-1]):
            found[Execution(*names)] = found.get(Execution(*names), False) or rest == [REPORT]
    return found


def _by_task(executions: Iterable[Execution]) -> dict[tuple[object, ...], list[Execution]]:
    """Return the executions of each task instance, oldest first, the dry ones apart."""
    groups: dict[tuple[object, ...], list[Execution]] = defaultdict(list)
    for each in sorted(executions):
        groups[*each[:-1], each.name.endswith(DRY_RUN)].append(each)
    return groups


def _read(root: Directory, chosen: Sequence[Execution], has_report: dict[Execution, bool]) -> Iterator[RecordedReport]:
    for page in cut(chosen, _TOGETHER):
        names = {each: "/".join((*each, REPORT)) for each in page}
        there = (name for each, name in names.items() if has_report[each])
        # One byte more than a report may have tells that it has too many.
        contents = root.read_many(dict.fromkeys(there, MAX_JSON_BYTES + 1))
        for each, name in names.items():
            report, problem = _parsed(contents[name]) if name in contents else (None, _NONE_YET)
            yield RecordedReport(
                dag_id=each.dag_id,
                run_id=each.run_id,
                task_id=each.task_id,
                map_index=int(each.map_index) if each.map_index.lstrip("-").isdecimal() else -1,
                execution=each.name,
                path=root.file(name),
                report=report,
                problem=problem,
                is_written=has_report[each],
            )


def _parsed(content: bytes | Exception) -> tuple[SyncReport | None, str | None]:
    if isinstance(content, Exception):
        return None, f"the file cannot be read ({type(content).__name__})"
    try:
        return SyncReport.from_json(small_json(content)), None
    except json.JSONDecodeError as problem:
        return None, f"the file is no JSON, or only half written ({problem.msg}, line {problem.lineno})"
    except ValueError as problem:
        return None, f"the file is no report ({problem})"
