"""A task that is told to stop, as Kubernetes ends a pod, is no success while rows are unread or unaccounted for."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.exceptions import RowsNotSentError
from tests.integration.support import (
    COUNTS,
    Record,
    Rows,
    Task,
    by_external_id,
    creating,
    leads,
    moving,
    no_retry,
    people,
    writes,
)

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from airflow_provider_sfleads.operators.base import LeadSyncOperator

pytestmark = pytest.mark.usefixtures("salesforce_conn")


@contextmanager
def as_airflow_does(operators: list[LeadSyncOperator]) -> Iterator[None]:
    """Have SIGTERM call the running operator's ``on_kill``, as Airflow's task runner does, and nothing else."""
    before = signal.signal(signal.SIGTERM, lambda *_: operators[-1].on_kill())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def stopped_at(place: int, rows: list[Record]) -> Rows:
    """Rows whose reader gets SIGTERM once it has read some of them."""
    return Rows(rows, before=lambda number: os.kill(os.getpid(), signal.SIGTERM) if number == place else None)


def stopped(operator: LeadSyncOperator, task: Task) -> Any:  # noqa: ANN401
    """Run a try that gets SIGTERM while it reads."""
    with as_airflow_does([operator]):
        return task.run(operator)


@pytest.mark.parametrize(("api", "count"), [("auto", 5_000), ("bulk", 500), ("collections", 500)])
@pytest.mark.parametrize("share", [0.1, 0.9, 0.999])
def test_a_create_that_is_stopped_while_it_reads_is_tried_again(
    emulator: EmulatorServer, tmp_path: Path, api: str, count: int, share: float
) -> None:
    """The try fails, worth a retry, and the retry brings every row to an outcome."""
    task, rows = Task(), people(count)
    first = stopped(creating(stopped_at(int(count * share), rows), tmp_path, api=api), task)
    assert isinstance(first.error, RowsNotSentError)
    assert not no_retry(first.error)
    second = task.run(creating(rows, tmp_path, api=api))
    assert (second.error, second.full["read"], second.full["attempts"]) == (None, count, 2)
    assert len(by_external_id(emulator)) == count


@pytest.mark.parametrize(("api", "count"), [("auto", 5_000), ("bulk", 500), ("collections", 500)])
def test_a_stage_task_that_is_stopped_while_it_reads_is_tried_again(
    emulator: EmulatorServer, tmp_path: Path, api: str, count: int
) -> None:
    """The same of the other operator."""
    task, rows = Task(), people(count)
    emulator.seed_leads(leads(rows))
    first = stopped(moving(stopped_at(count // 2, rows), tmp_path, api=api), task)
    assert isinstance(first.error, RowsNotSentError)
    second = task.run(moving(rows, tmp_path, api=api))
    assert (second.error, second.counts) == (None, {"updated": count})
    assert {lead["Lead_Stage__c"] for lead in emulator.leads()} == {"MQL"}


@pytest.mark.parametrize("api", ["auto", "bulk"])
def test_a_part_that_is_all_filtered_is_no_success(emulator: EmulatorServer, tmp_path: Path, api: str) -> None:
    """Nothing is staged yet: the rows behind it may be the ones that count."""
    task = Task()
    low, high = people(4_000, score=1), people(500, start=4_000, score=99)
    emulator.seed_leads(leads(high))
    how: dict[str, Any] = {"api": api, "score": "score", "threshold": 50}
    first = stopped(moving(stopped_at(3_000, [*low, *high]), tmp_path, **how), task)
    assert isinstance(first.error, RowsNotSentError)
    assert (first.full["not_sent"], first.full["read"]) == (0, first.full["filtered"])
    second = task.run(moving([*low, *high], tmp_path, **how))
    assert second.counts == {"filtered": 4_000, "updated": 500}


@pytest.mark.usefixtures("emulator")
def test_a_part_that_is_all_unchanged_is_no_success(tmp_path: Path) -> None:
    """With ``changed_only`` what was read so far needs no call, and says nothing of the rest."""
    rows = people(3_000)
    how: dict[str, Any] = {"api": "bulk", "changed_only": True, "existing": "update"}
    assert Task(run_id="first").run(creating(rows, tmp_path, **how)).counts == {"created": 3_000}
    changed = [*rows[:2_500], *people(500, start=2_500)]
    for row in changed[2_500:]:
        row["company"] = "New"
    task = Task(run_id="second")
    first = stopped(creating(stopped_at(2_200, changed), tmp_path, **how), task)
    assert isinstance(first.error, RowsNotSentError)
    second = task.run(creating(changed, tmp_path, **how))
    assert second.counts == {"unchanged": 2_500, "updated": 500}


@pytest.mark.parametrize("api", ["collections", "bulk"])
def test_a_dry_run_that_is_stopped_is_no_success(emulator: EmulatorServer, tmp_path: Path, api: str) -> None:
    """It would foretell less than a live run does."""
    task, rows = Task(), people(500)
    first = stopped(creating(stopped_at(200, rows), tmp_path, api=api, dry_run=True), task)
    assert isinstance(first.error, RowsNotSentError)
    assert task.run(creating(rows, tmp_path, api=api, dry_run=True)).counts == {"would_create": 500}
    assert emulator.leads() == []


@pytest.mark.parametrize("api", ["collections", "bulk", "auto"])
def test_a_task_that_is_stopped_before_it_begins_sends_nothing(
    emulator: EmulatorServer, tmp_path: Path, api: str
) -> None:
    """The signal came while Airflow still rendered templates."""
    task, rows = Task(), people(300)
    operator = creating(rows, tmp_path, api=api)
    operator.on_kill()
    first = task.run(operator)
    assert isinstance(first.error, RowsNotSentError)
    assert (writes(emulator), emulator.leads()) == ([], [])
    assert task.run(creating(rows, tmp_path, api=api)).counts == {"created": 300}


def test_a_stop_behind_the_last_row_where_all_are_accounted_for_is_a_success(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """Nothing was left to do: the export was read to its end, and no row waits."""
    rows = people(300, last=None)
    last = Rows(rows, before=lambda number: os.kill(os.getpid(), signal.SIGTERM) if number == 299 else None)
    ran = stopped(creating(last, tmp_path, api="collections", max_rejects=300), Task())
    assert ran.error is None
    assert {name: n for name, n in ran.full.items() if name in COUNTS and n} == {"rejected": 300}
    assert emulator.leads() == []
