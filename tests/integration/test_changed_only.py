from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.exceptions import ParameterError
from airflow_provider_sfleads.exports import SqlTable
from tests.integration.dying import Point, dies, sent
from tests.integration.support import Task, creating, killed, moving, people, run

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

pytestmark = pytest.mark.usefixtures("salesforce_conn")


@pytest.fixture(params=["sqlite", "duckdb", "postgres"])
def state(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SqlTable:
    """A table to write back to, in each kind of database."""
    connection: dict[str, Any] = {"conn_type": request.param, "host": str(tmp_path / "warehouse.db")}
    table = f"lead_state_{tmp_path.name.replace('-', '_')}"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
        host, port = url.split("@")[1].split("/")[0].split(":")
        connection |= {"host": host, "port": int(port), "login": "sfleads", "schema": "postgres"}
    monkeypatch.setenv("AIRFLOW_CONN_STATE", json.dumps(connection))
    return SqlTable("state", table)


def test_only_rows_that_changed_are_sent(emulator: EmulatorServer, tmp_path: Path, state: SqlTable) -> None:
    """Of a nightly export of which one row in a hundred changed, that one is sent."""
    more = {"existing": "update", "write_back": state, "changed_only": True}
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


def test_what_one_operator_confirmed_the_other_keeps(emulator: EmulatorServer, tmp_path: Path, state: SqlTable) -> None:
    """Both operators write to one table, and each remembers its own values there."""
    more = {"write_back": state, "changed_only": True}
    for expected in ({"created": 10}, {"unchanged": 10}):
        assert run(creating(people(10), tmp_path, **more)).counts == expected
        stage = run(moving(people(10), tmp_path, **more))
        assert stage.counts == ({"updated": 10} if "created" in expected else {"unchanged": 10})

    assert {lead["Lead_Stage__c"] for lead in emulator.leads()} == {"MQL"}


def test_a_full_refresh_looks_again(emulator: EmulatorServer, tmp_path: Path, state: SqlTable) -> None:
    """What was edited by hand is not noticed by memory, and is by a full refresh."""
    more = {"existing": "update", "write_back": state, "changed_only": True}
    run(creating(people(3), tmp_path, **more))
    emulator.edit_lead(emulator.leads()[0]["Id"], Company="By hand")

    assert run(creating(people(3), tmp_path, **more)).counts == {"unchanged": 3}
    assert run(creating(people(3), tmp_path, full_refresh="True", **more)).counts == {"unchanged": 2, "updated": 1}
    assert {lead["Company"] for lead in emulator.leads()} == {"Acme"}


def test_rejected_and_unsent_rows_are_not_confirmed(emulator: EmulatorServer, tmp_path: Path, state: SqlTable) -> None:
    """Only what Salesforce is known to hold is left alone."""
    more = {"write_back": state, "changed_only": True, "batch_size": 1, "concurrency": 1}
    emulator.add_fault(
        "status",
        method="POST",
        path="/composite/sobjects",
        nth=3,
        status=403,
        reply=[{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded."}],
    )
    rows = people(4)
    rows[0]["company"] = None
    first = run(creating(rows, tmp_path, **more))
    second = run(creating(people(4), tmp_path, **more))

    assert first.counts == {"rejected": 1, "created": 2, "not_sent": 1}
    assert second.counts == {"unchanged": 2, "created": 2}


@pytest.mark.parametrize("state", ["sqlite"], indirect=True)
@pytest.mark.parametrize("is_killed", [True, False], ids=["killed", "failed"])
def test_values_that_an_earlier_try_sent_are_not_taken_for_those_of_the_run_before(
    emulator: EmulatorServer, tmp_path: Path, state: SqlTable, monkeypatch: pytest.MonkeyPatch, *, is_killed: bool
) -> None:
    """A try that goes on with bulk jobs knows no values of theirs; where they change back, they are sent."""
    more = {"existing": "update", "write_back": state, "changed_only": True, "api": "bulk"}
    run(creating(people(300), tmp_path, **more))
    task = Task(run_id="changed")
    if is_killed:
        client = "airflow_provider_sfleads.transport.client:Client.send"
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


def test_memory_needs_a_table(tmp_path: Path) -> None:
    """Without write_back there is nothing to remember with, and the task says so."""
    ran = run(creating(people(1), tmp_path, changed_only=True))

    assert isinstance(ran.error, ParameterError)
    assert "write_back" in str(ran.error)
