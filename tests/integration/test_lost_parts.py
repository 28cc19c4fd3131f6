"""Results that are lost in part, while a run writes them or before a later one relies on them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.exceptions import RecordsLostError, ResultsError
from airflow_provider_sfleads.exports import SqlTable
from tests.detaching import detach
from tests.integration.dying import Point, dies
from tests.integration.support import (
    Rows,
    Task,
    creating,
    killed,
    killed_at_write,
    leads,
    moving,
    no_retry,
    people,
    results_of,
    wait_for,
)
from tests.integration.test_bulk_account import at_request
from tests.integration.test_unknown_outcomes import AT_ONCE, names, plain

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from airflow_provider_sfleads.emulator.watching import Sight

pytestmark = pytest.mark.usefixtures("salesforce_conn")

ROWS = 3_000


def detaching_at(place: int, results: Path) -> Callable[[int], None]:
    """Have an empty folder stand in the place of the results, as where a mount was detached, once a row is read."""

    def look(number: int) -> None:
        if number == place:
            detach(results)

    return look


@pytest.mark.parametrize("nth", [8, 12, 15])
def test_a_plain_insert_whose_results_were_detached(emulator: EmulatorServer, tmp_path: Path, nth: int) -> None:
    """It is no success; its retry asks for the rows that are not recorded, and creates none twice."""
    task, results = Task(), tmp_path / "results"

    def act() -> None:
        assert wait_for(lambda: sum(1 for _ in results.rglob("results-*.parquet")) > 1)
        detach(results)

    at_request(emulator, "POST", "/composite/sobjects", nth, act)
    first = task.run(plain(people(ROWS), results))
    assert isinstance(first.error, ResultsError)
    assert not no_retry(first.error)
    assert len(results_of(first.full)) < ROWS
    second = task.run(plain(people(ROWS), results, late=AT_ONCE))
    assert (second.error, second.counts) == (None, {"created": ROWS})
    assert len(second.rows) == ROWS
    assert len(names(emulator)) == len(set(names(emulator))) == ROWS
    assert task.run(plain(people(ROWS), results)).counts == {"unchanged": ROWS}
    assert len(names(emulator)) == ROWS


@pytest.mark.parametrize(("api", "path"), [("collections", "/composite/sobjects"), ("bulk", "/batches")])
def test_a_keyed_load_whose_results_were_detached(
    emulator: EmulatorServer, tmp_path: Path, database: str, api: str, path: str
) -> None:
    """With a unique key nothing doubles either way; the table to write back to must not lack rows."""
    task, results, seen = Task(), tmp_path / "results", [0]
    look = detaching_at(1, results)

    def see(sight: Sight) -> None:
        if sight.phase == "arrived" and sight.target.endswith(path):
            seen[0] += 1
            look(1 if seen[0] == (10 if api == "collections" else 1) else 0)

    emulator.watch(see)
    rows = people(ROWS, last=None)[:100] + people(ROWS, start=100)
    how: dict[str, Any] = {"api": api, "write_back": SqlTable(database, "sf_leads"), "max_rejects": 100}
    first = task.run(creating(rows, results, **how))
    assert first.error is not None
    assert not no_retry(first.error)
    ran = task.run(creating(rows, results, **how))
    while ran.error is not None and task.tries < 4:
        ran = task.run(creating(rows, results, **how))
    assert (ran.error, ran.full["read"], len(ran.rows)) == (None, ROWS + 100, ROWS + 100)
    assert len(ran.rejects) == ran.full["rejected"] == 100
    assert len(names(emulator)) == written(database) == ROWS


def test_a_lead_of_sales_is_not_created_by_a_run_whose_records_are_lost(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """Sales made it a moment before, with the values of the row: only what the integration user made is the run's."""
    task, rows = Task(), people(300)
    emulator.seed_leads(leads(rows[:100]))
    how: dict[str, Any] = {"api": "collections", "existing": "update", "batch_size": 50, "concurrency": 1}
    emulator.add_fault("status", nth=3, status=403, reply=[{"errorCode": "NO", "message": "no"}], path="/composite/so")
    first = task.run(creating(rows, tmp_path, **how))
    assert 0 < first.full["created"] < 200
    emulator.clear_faults()
    shutil.rmtree(first.folder)
    ran = task.run(creating(rows, tmp_path, **how))
    assert ran.counts == {"created": 200, "unchanged": 100}


def test_a_stage_task_whose_results_were_detached(emulator: EmulatorServer, tmp_path: Path) -> None:
    """What it moved stands where it is to stand."""
    task, results = Task(), tmp_path / "results"
    rows = people(2 * ROWS)
    emulator.seed_leads(leads(rows))
    first = task.run(moving(Rows(rows, before=detaching_at(5_500, results)), results, api="collections"))
    assert isinstance(first.error, ResultsError)
    ran = task.run(moving(rows, results, api="collections"))
    assert (ran.error, ran.full["read"], len(ran.rows)) == (None, len(rows), len(rows))
    assert {lead["Lead_Stage__c"] for lead in emulator.leads()} == {"MQL"}


def test_a_killed_try_whose_results_were_detached_asks(emulator: EmulatorServer, tmp_path: Path) -> None:
    """The parts that are there are not the first ones: what is missing before them is lost."""
    task, results = Task(), tmp_path / "results"
    at_request(emulator, "POST", "/composite/sobjects", 5, lambda: detach(results))
    killed_at_write(plain(people(ROWS), results, concurrency=1), task, emulator, 12)
    ran = task.run(plain(people(ROWS), results, late=AT_ONCE))
    assert (ran.error, ran.counts) == (None, {"created": ROWS})
    assert len(names(emulator)) == len(set(names(emulator))) == ROWS


@pytest.mark.parametrize("how", ["keyed", "stage"])
def test_staged_rows_that_vanish_are_read_anew(
    emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Somebody tidies up between two tries: rows that were read and lie nowhere are no success."""
    task, rows = Task(), people(ROWS)
    if how == "stage":
        emulator.seed_leads(leads(rows))

    def operator() -> Any:  # noqa: ANN401
        return (creating if how == "keyed" else moving)(rows, tmp_path, api="bulk")

    dies(monkeypatch, Point(at="airflow_provider_sfleads.pipeline.job_run:BulkRun.carry_on", before=True))
    killed(operator(), task)
    for piece in tmp_path.rglob("*.arrow"):
        piece.unlink()
    first = task.run(operator())
    assert isinstance(first.error, ResultsError)
    second = task.run(operator())
    assert (second.error, second.full["read"], len(second.rows)) == (None, ROWS, ROWS)
    assert len(names(emulator)) == ROWS


@pytest.mark.parametrize("before", [True, False])
def test_a_try_that_is_killed_as_it_notes_what_is_lost(
    emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, before: bool
) -> None:
    """The first part is there, and what is staged is gone: no more than the journal says tells that rows were sent."""
    task = Task()

    def newer() -> list[Path]:
        return sorted(tmp_path.rglob("results-*.parquet"))[1:]

    def act() -> None:
        assert wait_for(newer)
        for part in newer():
            part.unlink()

    at_request(emulator, "POST", "/composite/sobjects", 12, act)
    with monkeypatch.context() as patched:
        keep = "airflow_provider_sfleads.operators.load_context:LoadContext.keep"
        dies(patched, Point(at=keep, before=before, which=lambda **changes: "asks_from" in changes))
        killed(plain(people(ROWS), tmp_path), task)
    if before:
        assert isinstance(task.run(plain(people(ROWS), tmp_path)).error, ResultsError)
    ran = task.run(plain(people(ROWS), tmp_path, late=AT_ONCE))
    assert (ran.error, ran.counts) == (None, {"created": ROWS})
    assert len(names(emulator)) == len(set(names(emulator))) == ROWS


@pytest.mark.parametrize("lost", ["folder", "part"])
def test_bulk_whose_records_are_lost_says_what_can_find_out(
    emulator: EmulatorServer, tmp_path: Path, lost: str
) -> None:
    """It cannot ask for each row, so it fails at once and for good, with the advice; that is then followed."""
    task = Task()
    how: dict[str, Any] = {"api": "bulk"}
    first = task.run(plain(people(ROWS), tmp_path, **how))
    assert first.counts == {"created": ROWS}
    if lost == "folder":
        shutil.rmtree(first.folder)
    else:
        max(first.folder.glob("results-*.parquet"), key=lambda part: part.stat().st_size).unlink()
    ran = task.run(plain(people(ROWS), tmp_path, **how))
    assert isinstance(ran.error, RecordsLostError)
    assert no_retry(ran.error)
    assert "api='collections'" in str(ran.error)
    assert task.run(plain(people(ROWS), tmp_path, late=AT_ONCE)).counts == {"created": ROWS}
    assert len(names(emulator)) == ROWS


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A connection to an empty SQLite database."""
    connection = {"conn_type": "sqlite", "host": str(tmp_path / "warehouse.db")}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(connection))
    return "warehouse"


def written(conn_id: str) -> int:
    """Rows of the table that was written back to."""
    from airflow.providers.common.sql.hooks.sql import DbApiHook

    hook: Any = DbApiHook.get_hook(conn_id)
    return int(hook.get_first("SELECT COUNT(*) FROM sf_leads")[0])
