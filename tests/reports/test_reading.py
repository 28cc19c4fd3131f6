from __future__ import annotations

import os
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec  # type: ignore[import-untyped]  # noqa: TID253 - no Dag file
import pytest
from airflow.sdk.io.store import attach

from airflow_provider_sfleads.core.report import again, shown
from airflow_provider_sfleads.exceptions import ParameterError
from airflow_provider_sfleads.reports import RecordedReport, Totals, read_reports
from tests.integration.support import Task, creating, people
from tests.reports.support import FIRST, leave

if TYPE_CHECKING:
    from collections.abc import Iterable


def numbers(found: Iterable[RecordedReport], name: str = "created") -> list[int]:
    """One number of each report."""
    return [getattr(each.report, name) for each in found if each.report is not None]


def test_reports_come_by_interval(tmp_path: Path) -> None:
    """In whatever order the runs ran, and from all Dags."""
    for day, dag_id in ((2, "a"), (0, "b"), (1, "a")):
        leave(str(tmp_path), day, dag_id=dag_id, created=day)
    found = list(read_reports(str(tmp_path)))

    assert numbers(found) == [0, 1, 2]
    assert [each.dag_id for each in found] == ["b", "a", "a"]
    assert found[0].run_id == f"backfill__{FIRST.isoformat()}"


def test_one_dag_one_task_and_a_stretch_of_time(tmp_path: Path) -> None:
    """The end is not in it; a date without a zone is UTC."""
    for day in range(5):
        for dag_id in ("a", "b"):
            for task_id in ("create", "move"):
                leave(str(tmp_path), day, dag_id=dag_id, task_id=task_id, created=day)
    since, until = datetime(2026, 11, 11), FIRST + timedelta(days=3)  # noqa: DTZ001 - as somebody types it

    def read(**more: Any) -> list[RecordedReport]:
        return list(read_reports(str(tmp_path), **more))

    assert len(read()) == 20
    assert {each.dag_id for each in read(dag_id="b")} == {"b"}
    assert {each.task_id for each in read(task_id="move")} == {"move"}
    assert numbers(read(dag_id="a", task_id="create", since=since, until=until)) == [1, 2]
    assert read(dag_id="c") == []


def test_the_newest_execution_counts(tmp_path: Path) -> None:
    """A task that was cleared has several; a dry run afterwards does not undo what was live."""
    leave(str(tmp_path), 0, second=1, created=100)
    leave(str(tmp_path), 0, second=2, created=3)
    leave(str(tmp_path), 0, second=3, dry_run=True, created=0, would_create=7)

    found = [each.report for each in read_reports(str(tmp_path)) if each.report is not None]
    assert [(each.created, shown(each)["created"]) for each in found] == [(3, 103), (0, 0)]
    assert sorted(numbers(read_reports(str(tmp_path), all_executions=True))) == [0, 3, 100]


def test_an_execution_that_cannot_be_read_is_told_by_a_newer_report_or_named(tmp_path: Path) -> None:
    """A report tells what those before it did; where none does, the number is known to be too small."""
    torn = leave(str(tmp_path), 0, second=1, content="{")
    leave(str(tmp_path), 0, second=2, created=3)
    (problem, known) = sorted(read_reports(str(tmp_path)), key=lambda each: each.execution)
    assert (problem.path, problem.report) == (f"{torn}/report.json", None)
    assert known.report is not None
    told = [{**known.report.executions[0], "execution": problem.execution, "created": 100}, *known.report.executions]
    leave(str(tmp_path), 0, second=2, created=3, executions=told)

    (found,) = read_reports(str(tmp_path))
    assert found.report is not None
    assert (shown(found.report)["created"], again(found.report)) == (103, "cleared once")


def test_mapped_tasks_have_a_report_each(tmp_path: Path) -> None:
    """By the map's index."""
    for n in range(3):
        leave(str(tmp_path), 0, map_index=n, created=n)
    assert [each.map_index for each in read_reports(str(tmp_path))] == [0, 1, 2]


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A half-written file, one that is something else, and a task that has none yet; the others are read."""
    half = leave(str(tmp_path), 0, content='{"read": 12,')
    other = leave(str(tmp_path), 1, content='{"moons": 2}')
    binary = leave(str(tmp_path), 2, content="\x00")
    killed = leave(str(tmp_path), 3, created=3)
    (Path(killed) / "report.json").unlink()
    leave(str(tmp_path), 4, created=4)
    (tmp_path / "leads" / "notes" / "of" / "somebody" / "else").mkdir(parents=True)
    (tmp_path / "leads" / "notes" / "of" / "somebody" / "else" / "report.json").touch()
    found = list(read_reports(str(tmp_path)))

    assert numbers(found) == [4]
    problems = {each.path: str(each.problem) for each in found if each.report is None}
    assert list(problems) == [f"{folder}/report.json" for folder in (half, other, binary, killed)]
    assert "only half written" in problems[f"{half}/report.json"]
    assert "no report (read is missing)" in problems[f"{other}/report.json"]
    assert "there is no report" in problems[f"{killed}/report.json"]


@pytest.mark.parametrize("kind", ["dangling", "link", "pipe", "link to a pipe", "device"])
def test_a_report_that_must_not_be_read_is_named(tmp_path: Path, kind: str) -> None:
    """A link may lead to any file, and nobody may ever write into a pipe; neither keeps the others from being read."""
    report = Path(leave(str(tmp_path), 0)) / "report.json"
    leave(str(tmp_path), 1, created=5)
    elsewhere = tmp_path / "elsewhere.json"
    report.replace(elsewhere)
    os.mkfifo(tmp_path / "pipe")
    pipe = str(tmp_path / "pipe")
    targets = {"dangling": "nothing", "link": str(elsewhere), "link to a pipe": pipe, "device": "/dev/zero"}
    if kind == "pipe":
        (tmp_path / "pipe").replace(report)
    else:
        report.symlink_to(targets[kind])
    wrong, found = sorted(read_reports(str(tmp_path)), key=lambda each: each.problem is None)
    assert wrong.problem == "the file cannot be read (OSError)"
    assert numbers([found]) == [5]


def test_a_re_run_under_way_does_not_hide_what_was(tmp_path: Path) -> None:
    """The report before it is the newest there is."""
    leave(str(tmp_path), 0, second=1, created=5)
    (Path(leave(str(tmp_path), 0, second=2)) / "report.json").unlink()
    found = list(read_reports(str(tmp_path)))

    assert numbers(found) == [5]
    assert [each.problem is None for each in found] == [True, False]


def test_a_run_without_an_interval_stands_where_it_ran(tmp_path: Path) -> None:
    """A manual run's report has none."""
    leave(str(tmp_path), 0, created=1)
    leave(str(tmp_path), 30, interval_start=None, interval_end=None, started_at="2026-11-11T08:00:00+00:00", created=2)
    leave(str(tmp_path), 2, created=3)
    assert numbers(read_reports(str(tmp_path))) == [1, 2, 3]


def test_any_storage() -> None:
    """Reports are read from wherever results are written."""
    fs = fsspec.filesystem("memory")
    attach("memory", conn_id="store", fs=fs)
    try:
        for day in range(3):
            leave("/reports-of-a-test/results", day, created=day, fs=fs)
        url = "memory://store@reports-of-a-test/results"
        assert numbers(read_reports(url)) == [0, 1, 2]
        assert numbers(read_reports(url, dag_id="leads", since=FIRST + timedelta(days=2))) == [2]
    finally:
        fs.rm("/reports-of-a-test", recursive=True)


@pytest.mark.parametrize("path", ["/nonexistent/results", "no-such-storage://x", ""])
def test_a_path_that_is_none_is_named(path: str) -> None:
    """It is a parameter that somebody has to mend."""
    with pytest.raises(ParameterError, match="results_path"):
        list(read_reports(path))


def test_memory_holds_the_reports_and_not_their_files(tmp_path: Path) -> None:
    """A thousand runs are a few megabytes."""
    for day in range(1_000):
        leave(str(tmp_path), day)
    list(read_reports(str(tmp_path), until=FIRST))
    tracemalloc.start()
    try:
        assert len(list(read_reports(str(tmp_path)))) == 1_000
        assert tracemalloc.get_traced_memory()[1] < 12_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.usefixtures("salesforce_conn")
def test_what_operators_leave_is_what_is_read(tmp_path: Path) -> None:
    """Three days by the real operator, one of them dry; what they come to is what they reported."""
    reported = []
    for day in range(3):
        start = datetime(2026, 11, 10 + day, tzinfo=UTC)
        context = {"data_interval_start": start, "data_interval_end": start + timedelta(days=1)}
        task = Task(run_id=f"backfill__{start.isoformat()}", context=context)
        operator = creating(people(3, start=10 * day), tmp_path, dry_run=day == 1)
        reported.append(task.run(operator).full)
    found = list(read_reports(str(tmp_path), dag_id="leads", task_id="create"))

    assert [each.report.as_json() for each in found if each.report is not None] == reported
    live = Totals()
    for each in found:
        if each.report is not None and not each.report.dry_run:
            live.add(each.report)
    assert (live.syncs, live.counts["read"], live.counts["created"]) == (2, 6, 6)
