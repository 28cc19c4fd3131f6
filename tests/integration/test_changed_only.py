from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.exceptions import ResultsError
from airflow_provider_sfleads.exports import SqlTable
from tests import plain_hook
from tests.integration.dying import Point, dies, sent
from tests.integration.support import (
    FIELDS,
    Rows,
    StateStore,
    Task,
    creating,
    deferred,
    killed,
    moving,
    no_retry,
    people,
    run,
)

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

Memory = dict[str, Any]
"""What makes an operator remember."""

pytestmark = pytest.mark.usefixtures("salesforce_conn")


@pytest.fixture(params=["sqlite", "duckdb", "postgres", "plain", "results"])
def memory(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Memory:
    """What makes an operator remember: a table to write back to, or nothing beyond its own results."""
    if request.param == "results":
        return {"changed_only": True}
    connection: dict[str, Any] = {"conn_type": request.param, "host": str(tmp_path / "warehouse.db")}
    table = f"lead_state_{tmp_path.name.replace('-', '_')}"
    plain_hook.install(monkeypatch)
    if request.param in ("postgres", "plain"):
        url = request.getfixturevalue("postgres_url")
        host, port = url.split("@")[1].split("/")[0].split(":")
        connection |= {"host": host, "port": int(port), "login": "sfleads", "schema": "postgres"}
    monkeypatch.setenv("AIRFLOW_CONN_STATE", json.dumps(connection))
    return {"changed_only": True, "write_back": SqlTable("state", table)}


def limit_at(emulator: EmulatorServer, method: str, *, nth: int) -> None:
    """Let the org's daily limit be reached at one of the pages."""
    reply = [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded."}]
    emulator.add_fault("status", method=method, path="/composite/sobjects", nth=nth, status=403, reply=reply)


def test_only_rows_that_changed_are_sent(emulator: EmulatorServer, tmp_path: Path, memory: Memory) -> None:
    """Of a nightly export of which one row in a hundred changed, that one is sent."""
    more = {"existing": "update", **memory}
    first = run(creating(people(400), tmp_path, **more))
    calls = emulator.stats()["requests"]
    changed = [row | {"company": "Acme 2"} if n % 100 == 0 else row for n, row in enumerate(people(400))]
    second = run(creating(changed, tmp_path, **more))

    assert first.counts == {"created": 400}
    assert second.counts == {"unchanged": 396, "updated": 4}
    assert second.full["unchanged_reasons"] == {"same_values": 396}
    assert all(row["salesforce_id"] for row in second.rows)
    # A token, a describe, one look-up of four keys and one page.
    assert emulator.stats()["requests"] - calls == 4


def test_what_one_operator_confirmed_the_other_keeps(emulator: EmulatorServer, tmp_path: Path, memory: Memory) -> None:
    """Both operators write to one table, and each remembers its own values there."""
    more = memory
    for expected in ({"created": 10}, {"unchanged": 10}):
        assert run(creating(people(10), tmp_path, **more)).counts == expected
        stage = run(moving(people(10), tmp_path, **more))
        assert stage.counts == ({"updated": 10} if "created" in expected else {"unchanged": 10})

    assert {lead["Lead_Stage__c"] for lead in emulator.leads()} == {"MQL"}


def test_a_full_refresh_looks_again(emulator: EmulatorServer, tmp_path: Path, memory: Memory) -> None:
    """What was edited by hand is not noticed by memory, and is by a full refresh."""
    more = {"existing": "update", **memory}
    run(creating(people(3), tmp_path, **more))
    emulator.edit_lead(emulator.leads()[0]["Id"], Company="By hand")

    assert run(creating(people(3), tmp_path, **more)).counts == {"unchanged": 3}
    assert run(creating(people(3), tmp_path, full_refresh="True", **more)).counts == {"unchanged": 2, "updated": 1}
    assert {lead["Company"] for lead in emulator.leads()} == {"Acme"}


def test_rejected_and_unsent_rows_are_not_confirmed(emulator: EmulatorServer, tmp_path: Path, memory: Memory) -> None:
    """Only what Salesforce is known to hold is left alone."""
    more = {**memory, "batch_size": 1, "concurrency": 1}
    limit_at(emulator, "POST", nth=3)
    rows = people(4)
    rows[0]["company"] = None
    first = run(creating(rows, tmp_path, **more))
    second = run(creating(people(4), tmp_path, **more))

    assert first.counts == {"rejected": 1, "created": 2, "not_sent": 1}
    assert second.counts == {"unchanged": 2, "created": 2}


@pytest.mark.parametrize("memory", ["sqlite", "results"], indirect=True)
@pytest.mark.parametrize("is_killed", [True, False], ids=["killed", "failed"])
def test_values_that_an_earlier_try_sent_are_not_taken_for_those_of_the_run_before(
    emulator: EmulatorServer,
    tmp_path: Path,
    memory: Memory,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_killed: bool,
) -> None:
    """A try that goes on with bulk jobs knows no values of theirs; where they change back, they are sent."""
    more = {"existing": "update", **memory, "api": "bulk"}
    run(creating(people(300), tmp_path, **more))
    task = Task(run_id="changed")
    if is_killed:
        client = "airflow_provider_sfleads.salesforce.client:Client.send"
        dies(monkeypatch, Point(at=client, which=sent("PATCH", body={"state": "UploadComplete"})))
        killed(creating(people(300, company="Acme 2"), tmp_path, **more), task)
    else:
        emulator.change_settings(bulk_fail_after=100)
        assert task.run(creating(people(300, company="Acme 2"), tmp_path, **more)).counts["not_sent"] == 200
        emulator.change_settings(bulk_fail_after=None)
    second = task.run(creating(people(300, company="Acme 2"), tmp_path, **more))
    third = Task(run_id="back").run(creating(people(300), tmp_path, **more))

    assert (second.error, second.counts) == (None, {"updated": 300})
    assert (third.error, third.counts) == (None, {"updated": 300})
    assert {lead["Company"] for lead in emulator.leads()} == {"Acme"}


@pytest.mark.parametrize("memory", ["sqlite", "results"], indirect=True)
@pytest.mark.parametrize("api", ["collections", "bulk"])
def test_one_api_knows_what_the_other_confirmed(
    emulator: EmulatorServer, tmp_path: Path, memory: Memory, api: str
) -> None:
    """A night that goes page by page is followed by one in bulk, and the other way round."""
    other = "bulk" if api == "collections" else "collections"
    rows = people(30, company="Größe & Sohn, 'x' \"y\"")
    rows = [row | {"phone": None if n % 2 else "555"} for n, row in enumerate(rows)]
    fields = {**FIELDS, "phone": "Phone"}
    more = {"existing": "update", "fields": fields, "constants": {"Lead_Score__c": "7.50"}, "nulls": "clear", **memory}
    first = run(creating(rows, tmp_path, api=api, **more))
    second = run(creating(rows, tmp_path, api=other, **more))

    assert first.counts == {"created": 30}
    assert second.counts == {"unchanged": 30}
    assert second.full["unchanged_reasons"] == {"same_values": 30}
    assert {row["salesforce_id"] for row in second.rows} == {lead["Id"] for lead in emulator.leads()}
    assert all(row["lead_url"].endswith(f"/{row['salesforce_id']}/view") for row in second.rows)


@pytest.mark.parametrize("memory", ["sqlite", "results"], indirect=True)
def test_rows_that_wait_for_the_triggerer_are_remembered_by_the_process_that_goes_on(
    emulator: EmulatorServer, tmp_path: Path, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deferral with ``changed_only``: what the first process noted of the rows is there for the second."""
    monkeypatch.setattr("airflow_provider_sfleads.operators.load_run._PATIENCE", 0.0)
    emulator.change_settings(bulk_delay=60.0)
    more = {"existing": "update", "api": "bulk", "deferrable": True, **memory}
    operator = creating(people(300), tmp_path, **more)
    said, context = deferred(operator, StateStore(), run_id="first")
    emulator.finish_jobs()
    report = operator.execute_complete(context, {"status": "finished", "api_calls": 1, "token_requests": 1})
    emulator.change_settings(bulk_delay=0.0)
    second = Task(run_id="second").run(creating(people(300), tmp_path, **more))

    assert said.trigger is not None
    assert report["created"] == 300
    assert second.counts == {"unchanged": 300}
    assert second.full["unchanged_reasons"] == {"same_values": 300}


@pytest.mark.parametrize("memory", ["sqlite", "results"], indirect=True)
@pytest.mark.parametrize("api", ["collections", "bulk"])
def test_a_dry_run_goes_by_the_memory_and_leaves_it_alone(
    emulator: EmulatorServer, tmp_path: Path, memory: Memory, api: str
) -> None:
    """What would be sent is shown, and the night after sends it."""
    more = {"existing": "update", "api": api, **memory}
    run(creating(people(10), tmp_path, **more))
    rows = [row | {"company": "Acme 2"} if n < 2 else row for n, row in enumerate(people(10))]
    dry = Task(run_id="dry").run(creating(rows, tmp_path, dry_run=True, **more))
    live = Task(run_id="live").run(creating(rows, tmp_path, **more))

    assert dry.counts == {"unchanged": 8, "would_update": 2}
    assert live.counts == {"unchanged": 8, "updated": 2}
    assert len(emulator.leads()) == 10


@pytest.mark.parametrize("memory", ["sqlite"], indirect=True)
def test_what_a_run_without_memory_wrote_is_not_taken_for_what_was_confirmed(
    emulator: EmulatorServer, tmp_path: Path, memory: Memory
) -> None:
    """A run by hand without ``changed_only`` writes other values to leads that the table remembers."""
    more = {"existing": "update", **memory}
    run(creating(people(3), tmp_path, **more))
    run(creating(people(2, company="By hand"), tmp_path, **(more | {"changed_only": False})))

    assert run(creating(people(3), tmp_path, **more)).counts == {"unchanged": 1, "updated": 2}
    assert {lead["Company"] for lead in emulator.leads()} == {"Acme"}


@pytest.mark.parametrize("memory", ["sqlite", "results"], indirect=True)
def test_what_an_earlier_try_found_is_not_remembered_as_what_was_before(
    emulator: EmulatorServer, tmp_path: Path, memory: Memory
) -> None:
    """The retry does not know the values of a row that the first try found to be the same in Salesforce."""
    more = {"existing": "update", "api": "collections", **memory}
    run(creating(people(2), tmp_path, **more))
    emulator.edit_lead(emulator.leads()[0]["Id"], Company="Acme 2")
    limit_at(emulator, "PATCH", nth=1)
    task = Task(run_id="changed")
    first, second = (task.run(creating(people(2, company="Acme 2"), tmp_path, **more)) for _ in range(2))
    third = Task(run_id="back").run(creating(people(2), tmp_path, **more))

    assert first.counts == {"unchanged": 1, "not_sent": 1}
    assert second.counts == {"unchanged": 1, "updated": 1}
    assert third.counts == {"updated": 2}
    assert {lead["Company"] for lead in emulator.leads()} == {"Acme"}


@pytest.mark.parametrize("memory", ["results"], indirect=True)
def test_the_latest_run_is_what_counts(emulator: EmulatorServer, tmp_path: Path, memory: Memory) -> None:
    """Values that change and change back are sent both times."""
    more = {"existing": "update", **memory}
    folder = tmp_path / "results [of] *"
    for run_id, company, expected in (
        ("a", "Acme", {"created": 2}),
        ("b", "Acme 2", {"updated": 2}),
        ("c", "Acme", {"updated": 2}),
        ("d", "Acme", {"unchanged": 2}),
    ):
        assert Task(run_id=run_id).run(creating(people(2, company=company), folder, **more)).counts == expected
    assert {lead["Company"] for lead in emulator.leads()} == {"Acme"}


@pytest.mark.parametrize(("dry_run", "name"), [(False, "confirmed.parquet"), (True, "preview.json")])
def test_what_is_written_after_the_report_fails_the_task_with_its_report(
    emulator: EmulatorServer, tmp_path: Path, name: str, *, dry_run: bool
) -> None:
    """A full or broken storage at the very end; the next try writes what is missing."""
    blocking: list[Path] = []

    def block(_number: int) -> None:
        (folder,) = tmp_path.glob("leads/*/create/-1/*")
        blocking.append(folder / name)
        blocking[0].mkdir(exist_ok=True)

    task, more = Task(), {"changed_only": True, "dry_run": dry_run, "api": "collections"}
    first = task.run(creating(Rows(people(3), before=block), tmp_path, **more))
    assert isinstance(first.error, ResultsError)
    assert not no_retry(first.error)
    assert first.counts == {"would_create" if dry_run else "created": 3}
    blocking[0].rmdir()
    second = task.run(creating(people(3), tmp_path, **more))

    assert (second.error, second.counts) == (None, first.counts)
    assert blocking[0].is_file()
    assert len(emulator.leads()) == (0 if dry_run else 3)
