"""A newer run is never undone: whatever older ones are killed, retried, or run beside it."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.exceptions import LeaseTakenError
from airflow_provider_sfleads.exports import SqlTable
from airflow_provider_sfleads.operators.leads import SalesforceCreateLeadsOperator, SalesforceUpdateLeadStageOperator
from airflow_provider_sfleads.results.lease import Pace
from tests.integration.dying import Point, dies, sent
from tests.integration.support import (
    FIELDS,
    Ran,
    Record,
    Rows,
    Task,
    deferred,
    killed,
    leads,
    people,
    results_of,
    wait_for,
)

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from airflow_provider_sfleads.operators.load_settings import LoadSettings

pytestmark = pytest.mark.usefixtures("salesforce_conn")

MONDAY = datetime(2026, 11, 16, 2, tzinfo=UTC)
ROWS = 300
CLIENT = "airflow_provider_sfleads.salesforce.client:Client"
#: So that a killed run's claim is over in a moment, though not while a busy disk takes its time.
PACE = Pace(lasts=4.0, renewed=0.3, skew=0.2, looks=0.05, patience=60.0, handover=0.5)
HASTY = replace(PACE, patience=0.5)


class Creating(SalesforceCreateLeadsOperator):
    """A create task that takes turns fast."""

    pace = PACE

    def _settings(self, stop: threading.Event) -> LoadSettings:
        return replace(super()._settings(stop), pace=self.pace)


class Moving(SalesforceUpdateLeadStageOperator):
    """A stage task that takes turns fast."""

    pace = PACE

    def _settings(self, stop: threading.Event) -> LoadSettings:
        return replace(super()._settings(stop), pace=self.pace)


Memory = dict[str, Any]


@pytest.fixture(params=["table", "results"])
def memory(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Memory:
    """What tells a run of newer ones."""
    state = {"conn_type": "sqlite", "host": str(tmp_path / "warehouse.db")}
    monkeypatch.setenv("AIRFLOW_CONN_STATE", json.dumps(state))
    return {"changed_only": True} if request.param == "results" else {"write_back": SqlTable("state", "lead_state")}


def updating(rows: list[Record] | Rows, folder: Path, memory: Memory, pace: Pace = PACE, **more: Any) -> Creating:
    """A task that updates the leads that exist."""
    export: Any = Rows(rows) if isinstance(rows, list) else rows
    given = {"external_id_field": "External_Id__c", "fields": FIELDS, "task_id": "create", "key": "key", **more}
    operator = Creating(export=export, results_path=str(folder), existing="update", **memory, **given)
    operator.pace = pace
    return operator


def moving(rows: list[Record], folder: Path, memory: Memory, **more: Any) -> Moving:
    """A task that moves leads without a ladder."""
    export: Any = Rows(rows)
    given = {"external_id_field": "External_Id__c", "task_id": "move", "key": "key", **more}
    return Moving(export=export, results_path=str(folder), ladder=None, **memory, **given)


def day(number: int) -> Task:
    """The task instance of a day of the week, 0 for Monday."""
    start = MONDAY + timedelta(days=number)
    context = {"data_interval_start": start, "data_interval_end": start + timedelta(days=1)}
    return Task(run_id=f"day_{number}", context=context)


def companies(emulator: EmulatorServer) -> dict[str, int]:
    """How many leads are of which company."""
    found = [lead["Company"] for lead in emulator.leads()]
    return {name: found.count(name) for name in set(found)}


def claims(folder: Path) -> list[str]:
    """The claims that lie below a folder."""
    return [path.name for path in folder.glob("_leases/*/*.json")]


STAGED = Point(at=f"{CLIENT}.send", before=True, which=sent("POST", to="jobs/ingest"))


def test_an_older_bulk_run_that_was_killed_once_it_had_staged_undoes_nothing(
    emulator: EmulatorServer, tmp_path: Path, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newer one ran between its tries; what it staged is looked at once more before its job is made."""
    emulator.seed_leads(leads(people(ROWS + 50)))
    tuesday = day(1)
    older = people(ROWS + 50, company="Tuesday")
    dies(monkeypatch, STAGED)
    killed(updating(older, tmp_path, memory, api="bulk"), tuesday)
    newer = day(3).run(updating(people(ROWS, company="Thursday"), tmp_path, memory, api="bulk"))
    again = tuesday.run(updating(older, tmp_path, memory, api="bulk"))

    assert (newer.error, newer.counts) == (None, {"updated": ROWS})
    assert (again.error, again.counts) == (None, {"unchanged": ROWS, "updated": 50})
    assert again.full["unchanged_reasons"] == {"newer_run": ROWS}
    assert all(row["salesforce_id"] for row in again.rows)
    assert companies(emulator) == {"Thursday": ROWS, "Tuesday": 50}
    assert claims(tmp_path) == []


def test_a_stage_run_without_a_ladder_does_not_either(
    emulator: EmulatorServer, tmp_path: Path, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newer day has moved the leads on, and the older one, staged before that, leaves all of them alone."""
    emulator.seed_leads(leads(people(ROWS)))
    tuesday = day(1)
    dies(monkeypatch, STAGED)
    killed(moving(people(ROWS), tmp_path, memory, stage="MQL", api="bulk"), tuesday)
    newer = day(3).run(moving(people(ROWS), tmp_path, memory, stage="SQL"))
    again = tuesday.run(moving(people(ROWS), tmp_path, memory, stage="MQL", api="bulk"))

    assert (newer.error, newer.counts) == (None, {"updated": ROWS})
    assert (again.error, again.full["unchanged_reasons"]) == (None, {"newer_run": ROWS})
    assert {lead["Lead_Stage__c"] for lead in emulator.leads()} == {"SQL"}


def _to_the_end(number: int, folder: Path, memory: Memory, **more: Any) -> int:
    """A process that runs the task of a day until it succeeds."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            rows = people(1000, company="Tuesday" if number == 1 else "Thursday")
            task = day(number)
            for _ in range(10):
                if task.run(updating(rows, folder, memory, **more)).error is None:
                    code = 0
                    break
        finally:
            os._exit(code)
    return child


@pytest.mark.parametrize("first", [1, 3], ids=["older first", "newer first"])
def test_of_two_runs_at_once_the_newer_one_s_values_last(
    emulator: EmulatorServer, tmp_path: Path, memory: Memory, first: int
) -> None:
    """Two processes, page by page; whichever is first has its turn, and the other one waits."""
    emulator.seed_leads(leads(people(1000)))
    emulator.change_settings(latency_ms=20)
    more: dict[str, Any] = {"api": "collections", "batch_size": 50, "concurrency": 2}
    children = [_to_the_end(number, tmp_path, memory, **more) for number in (first, 4 - first)]
    codes = [os.waitpid(child, 0)[1] for child in children]

    assert codes == [0, 0]
    assert companies(emulator) == {"Thursday": 1000}


def test_a_newer_run_waits_for_the_job_of_an_older_one(
    emulator: EmulatorServer, tmp_path: Path, memory: Memory
) -> None:
    """The older one is in the middle of its job when the newer one begins."""
    emulator.seed_leads(leads(people(1000)))
    emulator.change_settings(bulk_rate=250.0)
    child = _to_the_end(1, tmp_path, memory, api="bulk")
    assert wait_for(lambda: any(job["state"] == "InProgress" for job in emulator.jobs()))
    newer = day(3).run(updating(people(1000, company="Thursday"), tmp_path, memory, api="collections"))

    assert os.waitpid(child, 0)[1] == 0
    assert (newer.error, newer.counts) == (None, {"updated": 1000})
    assert companies(emulator) == {"Thursday": 1000}


def test_a_newer_run_waits_for_the_job_of_an_older_one_that_is_deferred(
    emulator: EmulatorServer, tmp_path: Path, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody renews its claim, but the job keeps it standing; it goes on itself when the newer one is through."""
    monkeypatch.setattr("airflow_provider_sfleads.operators.load_run._PATIENCE", 0.0)
    emulator.seed_leads(leads(people(ROWS)))
    emulator.change_settings(bulk_delay=4.0)
    operator = updating(people(ROWS, company="Tuesday"), tmp_path, memory, api="bulk", deferrable=True)
    tuesday = day(1)
    _, context = deferred(operator, tuesday.store, tuesday.run_id, **tuesday.context)
    newer = day(3).run(updating(people(ROWS, company="Thursday"), tmp_path, memory, api="collections"))
    held = companies(emulator)
    report = operator.execute_complete(context, {"status": "finished", "jobs": []})

    assert (newer.error, held) == (None, {"Thursday": ROWS})
    assert report["updated"] == ROWS
    assert companies(emulator) == {"Thursday": ROWS}
    assert claims(tmp_path) == []


@pytest.mark.parametrize("ended", ["queued", "open"])
def test_a_newer_run_waits_for_the_job_of_an_older_one_that_was_killed(
    emulator: EmulatorServer, tmp_path: Path, memory: Memory, monkeypatch: pytest.MonkeyPatch, ended: str
) -> None:
    """Its job stands in Salesforce's queue, and would undo what comes before it; one that never began is aborted."""
    emulator.seed_leads(leads(people(ROWS)))
    emulator.change_settings(bulk_delay=4.0)
    tuesday = day(1)
    body = {"state": "UploadComplete"}
    point = sent("PATCH", body=body) if ended == "queued" else sent("PUT")
    dies(monkeypatch, Point(at=f"{CLIENT}.send", which=point))
    killed(updating(people(ROWS, company="Tuesday"), tmp_path, memory, api="bulk"), tuesday)
    newer = day(3).run(updating(people(ROWS, company="Thursday"), tmp_path, memory, api="collections"))
    held = companies(emulator)
    again = tuesday.run(updating(people(ROWS, company="Tuesday"), tmp_path, memory, api="bulk"))

    assert (newer.error, newer.counts, held) == (None, {"updated": ROWS}, {"Thursday": ROWS})
    assert again.error is None
    assert again.counts == ({"updated": ROWS} if ended == "queued" else {"unchanged": ROWS})
    assert companies(emulator) == {"Thursday": ROWS}


def test_an_older_run_waits_for_a_newer_one_that_was_killed(
    emulator: EmulatorServer, tmp_path: Path, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the newer one has sent is remembered nowhere yet, and its next try does not send it again."""
    emulator.seed_leads(leads(people(4)))
    thursday, tuesday = day(3), day(1)
    more: dict[str, Any] = {"api": "collections", "batch_size": 1, "concurrency": 1}
    dies(monkeypatch, Point(at=f"{CLIENT}.send", nth=3, which=sent("PATCH"), before=True))
    killed(updating(people(4, company="Thursday"), tmp_path, memory, **more), thursday)
    older = updating(people(4, company="Tuesday"), tmp_path, memory, HASTY, **more)
    early = tuesday.run(older)
    newer = thursday.run(updating(people(4, company="Thursday"), tmp_path, memory, **more))
    late = tuesday.run(updating(people(4, company="Tuesday"), tmp_path, memory, **more))

    assert isinstance(early.error, LeaseTakenError)
    assert "run 'day_3' of task 'create' in Dag 'leads'" in str(early.error)
    assert early.error.retry_after == 60
    assert newer.error is None
    assert late.full["unchanged_reasons"] == {"newer_run": 4}
    assert companies(emulator) == {"Thursday": 4}


def test_rows_of_a_run_that_has_lost_its_turn_are_not_sent(
    emulator: EmulatorServer, tmp_path: Path, memory: Memory
) -> None:
    """Its worker stood still for longer than a claim lasts; the next try sends them."""
    emulator.seed_leads(leads(people(4)))
    tuesday = day(1)
    still = replace(PACE, renewed=60.0, lasts=3.0)

    def stand_still(number: int) -> None:
        if number == 2:
            time.sleep(still.lasts)

    rows = Rows(people(4, company="Tuesday"), before=stand_still)
    more: dict[str, Any] = {"api": "collections", "batch_size": 1, "concurrency": 1}
    ran = tuesday.run(updating(rows, tmp_path, memory, still, **more))
    reasons = {row["reason"] for row in ran.rows if row["action"] == "not_sent"}
    again = tuesday.run(updating(people(4, company="Tuesday"), tmp_path, memory, **more))

    assert ran.full["not_sent"] > 0
    assert reasons == {"newer_run_under_way"}
    assert again.counts == {"updated": 4}


def test_a_page_is_held_against_a_newer_run_that_took_no_turn(
    emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its results lie elsewhere, but the table is the same, and it is asked when a page is sent."""
    state = {"conn_type": "duckdb", "host": str(tmp_path / "warehouse.db")}
    monkeypatch.setenv("AIRFLOW_CONN_STATE", json.dumps(state))
    memory: Memory = {"write_back": SqlTable("state", "lead_state")}
    emulator.seed_leads(leads(people(4)))
    ran: list[Ran] = []

    def meanwhile(number: int) -> None:
        if number == 2:
            ran.append(day(3).run(updating(people(3, company="Thursday"), tmp_path / "other", memory)))
            # For so long an answer of the table counts.
            time.sleep(1.1)

    rows = Rows(people(4, company="Tuesday"), before=meanwhile)
    more: dict[str, Any] = {"api": "collections", "batch_size": 1, "concurrency": 1}
    ran.append(day(1).run(updating(rows, tmp_path, memory, **more)))

    assert [each.error for each in ran] == [None, None]
    assert ran[1].full["unchanged_reasons"]["newer_run"] in (1, 2, 3)
    assert {row["key"]: row["action"] for row in results_of(ran[1].full)}["K-2"] == "unchanged"
    assert companies(emulator)["Thursday"] == 3
