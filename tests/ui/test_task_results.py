"""What the executions of one task instance came to, whoever wrote their reports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from airflow_provider_sfleads.results.folder import ResultsFolder
from airflow_provider_sfleads.results.recorded import execution_names
from airflow_provider_sfleads.ui.task_results import history_of
from tests.core.reports import VALUES
from tests.ui.made_up import entry


def named(number: int, day: int = 1) -> str:
    """The name of an execution."""
    return f"202611{day:02}T{number // 3600:02}{number // 60 % 60:02}{number % 60:02}.000000Z"


def test_history_is_bounded_whatever_the_reports_say(tmp_path: Path) -> None:
    """A report of a megabyte may tell of thousands of executions, and somebody may leave any number of them."""
    folder = ResultsFolder(tmp_path, "dag", "run", "task", -1, named(0))
    for number in range(120):
        told = [entry(named(n, 2), created=1) for n in range(1_001 if number == 119 else 1)]
        executions = [*told, entry(named(number), created=1)]
        replace(folder, execution=named(number)).write_report(VALUES | {"executions": executions})
    history = history_of(folder, execution_names(folder))
    assert len(history) == 100
    assert {each["execution"] for each in history} == {named(0, 2), *map(named, range(20, 119))}
