"""What is lost of what a task did, and since when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_sfleads.operators.journal import Execution, folder_of, was_cleared
from airflow_provider_sfleads.operators.lost_records import lost_since
from airflow_provider_sfleads.results.folder import ResultsFolder

FIRST, SECOND = "2026-01-02T03:00:00+00:00", "2026-01-02T04:00:00+00:00"
ONE = Execution(name="1", dry_run=False, started_at=FIRST)
TWO = Execution(name="2", dry_run=False, started_at=SECOND, earlier=1, first_at=FIRST)
STORE = object()


def context_of(*, tries: int = 1, store: object = STORE, **run: Any) -> dict[str, Any]:
    """A task's context."""
    ti = SimpleNamespace(dag_id="dag", run_id="run", task_id="task", map_index=-1, try_number=tries)
    return {"ti": ti, "task_state_store": store, "dag_run": SimpleNamespace(**run)}


def folder(base: Path, execution: Execution) -> ResultsFolder:
    """The folder of an execution."""
    return replace(folder_of(context_of(), base=str(base), dag_id="", task_id=""), execution=execution.name)


def test_what_was_begun_is_not_lost(tmp_path: Path) -> None:
    """A try that was killed before it recorded anything leaves an empty execution behind, and a re-run knows it."""
    folder(tmp_path, ONE).begin()
    begun = replace(ONE, sends=False)
    assert lost_since(begun, begun, folder(tmp_path, ONE), context_of(), deferred=False) is None
    assert lost_since(replace(ONE, open=False), TWO, folder(tmp_path, TWO), context_of(), deferred=False) is None


def test_an_execution_whose_folder_is_gone(tmp_path: Path) -> None:
    """From its beginning on anything may have been sent; also in a try that goes on after a deferral."""
    for deferred in (False, True):
        assert lost_since(ONE, ONE, folder(tmp_path, ONE), context_of(), deferred=deferred) == FIRST


def test_an_earlier_execution_whose_folder_is_gone(tmp_path: Path) -> None:
    """Its rows are asked for from the first beginning on, whether this execution begins or goes on."""
    closed = replace(ONE, open=False)
    assert lost_since(closed, TWO, folder(tmp_path, TWO), context_of(), deferred=False) == FIRST
    folder(tmp_path, TWO).begin()
    assert lost_since(TWO, replace(TWO, tries=2), folder(tmp_path, TWO), context_of(), deferred=False) == FIRST


def test_a_dry_run_does_not_stand_for_a_live_one(tmp_path: Path) -> None:
    """It has recorded nothing of what that sent."""
    folder(tmp_path, replace(ONE, name="1-dry-run")).begin()
    assert lost_since(replace(ONE, open=False), TWO, folder(tmp_path, TWO), context_of(), deferred=False) == FIRST


def test_a_first_try_has_lost_nothing(tmp_path: Path) -> None:
    """Nor has a later one, where Airflow's store has no word of one that came to the point of sending."""
    for context in (context_of(), context_of(tries=2), context_of(store=None)):
        assert lost_since(None, ONE, folder(tmp_path, ONE), context, deferred=False) is None


def test_without_a_store_the_run_says_since_when(tmp_path: Path) -> None:
    """Clearing resets its start, so the earliest moment counts that it has, and never one to come."""
    now = datetime.now(UTC)
    earliest = now - timedelta(3)
    times = {"start_date": now - timedelta(1), "queued_at": None, "run_after": earliest, "logical_date": now}
    context = context_of(tries=2, store=None, **times)
    assert lost_since(None, ONE, folder(tmp_path, ONE), context, deferred=False) == earliest.isoformat()
    ahead = context_of(tries=2, store=None, run_after=now + timedelta(1))
    since = lost_since(None, ONE, folder(tmp_path, ONE), ahead, deferred=False)
    assert since is not None
    assert now <= datetime.fromisoformat(since) <= datetime.now(UTC)


def test_without_a_store_records_that_are_there_tell(tmp_path: Path) -> None:
    """Only the journal is gone."""
    folder(tmp_path, TWO).begin()
    context = context_of(tries=2, store=None)
    assert lost_since(None, ONE, folder(tmp_path, ONE), context, deferred=False) is None


def test_a_deferral_without_a_journal(tmp_path: Path) -> None:
    """Whoever was deferred has sent something: its execution is unknown, whatever else is there."""
    folder(tmp_path, TWO).begin()
    run = datetime(2026, 1, 1, tzinfo=UTC)
    context = context_of(start_date=run)
    assert lost_since(None, ONE, folder(tmp_path, ONE), context, deferred=True) == run.isoformat()


@pytest.mark.parametrize(
    ("tries", "max_tries", "retries", "cleared"),
    [
        (1, 2, 2, False),
        (2, 2, 2, False),
        (3, 2, 2, False),
        # Cleared after its third try: Airflow grants two retries anew.
        (4, 5, 2, True),
        (5, 5, 2, False),
        (2, 1, 0, True),
        (1, None, None, False),
        (2, None, None, True),
    ],
)
def test_a_try_that_comes_of_clearing(tries: int, max_tries: int | None, retries: int | None, *, cleared: bool) -> None:
    """It is told from a retry by the tries that are left."""
    context = context_of(tries=tries)
    context["ti"].max_tries = max_tries
    context["task"] = SimpleNamespace(retries=retries)
    assert was_cleared(context) is cleared
