"""The table that a sync writes back to, as the next export sees it."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from airflow.sdk import BaseHook

from airflow_provider_sfleads.exports import SqlExport, SqlTable
from tests.integration.support import Ran, Record, Task, creating, leads, moving, no_retry, people, run

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

pytestmark = pytest.mark.usefixtures("salesforce_conn")

TODAY = datetime(2026, 11, 20, 2, tzinfo=UTC)
SQL = "SELECT key, last, company FROM people ORDER BY key"


def execute(sql: str) -> None:
    """Run SQL at the warehouse."""
    with closing(BaseHook.get_connection("warehouse").get_hook().get_conn()) as connection:  # type: ignore[no-untyped-call]
        cursor = connection.cursor()
        for statement in sql.split(";"):
            cursor.execute(statement)
        connection.commit()


def table(columns: str = "key, salesforce_id, action, stage", name: str = "state") -> dict[str, tuple[Any, ...]]:
    """What the table holds, by key."""
    with SqlExport("warehouse", f"SELECT {columns} FROM {name} ORDER BY key").open() as stream:  # noqa: S608 - names of ours
        rows = [tuple(row.values()) for row in stream.rows if isinstance(row, dict)]
    found = {str(key): tuple(rest) for key, *rest in rows}
    assert len(found) == len(rows)
    return found


@pytest.fixture(params=["sqlite", "duckdb", "postgres"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Kind of a database with a table ``people`` of 250 rows, at connection ``warehouse``."""
    fields: dict[str, Any] = {"conn_type": request.param, "host": str(tmp_path / "warehouse.db")}
    if request.param == "postgres":
        url = urlsplit(request.getfixturevalue("postgres_url"))
        fields |= {"host": url.hostname, "port": url.port, "login": url.username, "schema": "postgres"}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(fields))
    execute("DROP TABLE IF EXISTS people; DROP TABLE IF EXISTS state")
    execute("CREATE TABLE people (key TEXT, last TEXT, company TEXT)")
    values = ", ".join(f"('{row['key']}', '{row['last']}', '{row['company']}')" for row in people(250))
    execute(f"INSERT INTO people VALUES {values}")  # noqa: S608 - rows of ours
    return str(request.param)


@pytest.fixture
def duckdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty DuckDB file at connection ``warehouse``."""
    path = tmp_path / "warehouse.db"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "duckdb", "host": str(path)}))
    return path


BACK: dict[str, Any] = {"write_back": SqlTable("warehouse", "state")}


def on_day(end: datetime, **more: Any) -> Task:
    """A task instance of the day that ends then."""
    context = {"data_interval_start": end - timedelta(days=1), "data_interval_end": end}
    return Task(run_id=f"day_{end:%Y%m%d}", context=context, **more)


@pytest.mark.usefixtures("warehouse")
def test_the_next_export_can_select_on_what_was_written_back_to_the_database_it_reads(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """The same file or server is read and then written, for both operators."""
    emulator.seed_leads(leads(people(10)))
    created = run(creating(SqlExport("warehouse", SQL), tmp_path, **BACK))
    by_key = {lead["External_Id__c"]: lead for lead in emulator.leads()}
    state = table()

    assert created.error is None
    assert len(state) == 250
    assert state["K-0"] == (by_key["K-0"]["Id"], "unchanged", None)
    assert state["K-99"] == (by_key["K-99"]["Id"], "created", None)
    rest = (
        "SELECT p.key, s.salesforce_id AS id FROM people p JOIN state s ON s.key = p.key "
        "WHERE s.stage IS NULL AND p.key LIKE 'K-1%'"
    )
    how: dict[str, Any] = {"lead_id": "id", "external_id_field": None, **BACK}
    moved = run(moving(SqlExport("warehouse", rest), tmp_path, **how))
    again = run(moving(SqlExport("warehouse", rest), tmp_path, **how))
    assert (moved.error, again.error) == (None, None)
    assert moved.counts == {"updated": 111}
    assert again.counts == {}
    state = table()
    assert state["K-10"] == (by_key["K-10"]["Id"], "updated", "MQL")
    assert state["K-0"] == (by_key["K-0"]["Id"], "unchanged", None)


@pytest.mark.usefixtures("warehouse")
def test_a_null_stage_keeps_the_stage_and_a_re_run_changes_nothing_else(tmp_path: Path) -> None:
    """Creating knows no stage, and must not forget what moving wrote."""
    run(creating(SqlExport("warehouse", SQL), tmp_path, **BACK))
    run(moving(SqlExport("warehouse", SQL), tmp_path, **BACK))
    before = table("key, salesforce_id, stage")
    ran = run(creating(SqlExport("warehouse", SQL), tmp_path, **BACK))

    assert ran.counts == {"unchanged": 250}
    assert {stage for _, stage in before.values()} == {"MQL"}
    assert table("key, salesforce_id, stage") == before


@pytest.mark.usefixtures("warehouse")
def test_an_older_interval_replaces_nothing_of_a_newer_one(emulator: EmulatorServer, tmp_path: Path) -> None:
    """A backfill of last week runs today; what it alone knows is written all the same."""
    emulator.seed_leads(leads(people(5)))
    newer = on_day(TODAY).run(moving(people(3), tmp_path, **BACK))
    state = table("key, salesforce_id, action, stage, synced_at, interval_end")
    older = on_day(TODAY - timedelta(days=3)).run(moving(people(5), tmp_path, **BACK))
    after = table("key, salesforce_id, action, stage, synced_at, interval_end")

    assert (newer.counts, older.counts) == ({"updated": 3}, {"unchanged": 3, "updated": 2})
    assert {key: after[key] for key in state} == state
    assert [after[key][1:3] for key in ("K-3", "K-4")] == [("updated", "MQL")] * 2
    latest = on_day(TODAY + timedelta(days=1)).run(moving(people(5), tmp_path, **BACK))
    assert latest.counts == {"unchanged": 5}
    assert {row[1] for row in table().values()} == {"unchanged"}
    assert {row[2] for row in table().values()} == {"MQL"}


@pytest.mark.usefixtures("duckdb")
def test_the_interval_of_the_params_counts_for_the_write_back_as_well(emulator: EmulatorServer, tmp_path: Path) -> None:
    """A manual run for an old day is an old day."""
    emulator.seed_leads(leads(people(2)))
    on_day(TODAY).run(moving(people(1), tmp_path, **BACK))
    state = table("key, action, stage, synced_at")
    manual = Task(run_id="manual", context={"params": {"from": "2026-11-01", "to": "2026-11-02"}})
    ran = manual.run(moving(people(2), tmp_path, **BACK))

    assert ran.full["interval_end"] == "2026-11-02T00:00:00+00:00"
    assert table("key, action, stage, synced_at")["K-0"] == state["K-0"]
    assert "K-1" in table()


@pytest.mark.usefixtures("duckdb")
def test_only_rows_whose_lead_is_known_are_written_back(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Filtered, repeated, rejected and unsent rows say nothing of a lead."""
    emulator.seed_leads(leads(people(4), Lead_Stage__c="SQL"))
    rows: list[Record] = [
        {**row, "score": score} for row, score in zip(people(6), (90, 10, 90, None, 90, "x"), strict=True)
    ]
    ran = run(moving([*rows, rows[0]], tmp_path, score="score", threshold=70, max_rejects=5, **BACK))

    assert ran.counts == {"unchanged": 2, "filtered": 2, "rejected": 2, "duplicate_keys": 1}
    assert {key: row[1:] for key, row in table().items()} == {
        "K-0": ("unchanged", "SQL"),
        "K-2": ("unchanged", "SQL"),
    }


def test_a_dry_run_writes_nothing_back(duckdb: Path, tmp_path: Path) -> None:
    """Nothing happened."""
    run(creating(people(3), tmp_path, dry_run=True, **BACK))

    assert not duckdb.exists()


@pytest.mark.usefixtures("duckdb")
def test_a_failing_run_writes_back_what_it_did(tmp_path: Path) -> None:
    """The leads are there, whatever became of the other rows."""
    ran = run(creating([*people(3), {"key": "x"}], tmp_path, **BACK))

    assert no_retry(ran.error)
    assert set(table()) == {"K-0", "K-1", "K-2"}


def test_a_write_back_that_fails_is_done_by_the_retry(duckdb: Path, emulator: EmulatorServer, tmp_path: Path) -> None:
    """The leads are there, the report is, and nothing is sent again."""
    duckdb.write_text("no database at all, and long enough to be looked at: " * 200)
    task = Task()
    first = task.run(creating(people(3), tmp_path, **BACK))
    sent = emulator.stats()["calls"]
    assert first.counts == {"created": 3}
    assert first.error is not None
    assert not no_retry(first.error)
    duckdb.unlink()
    second = task.run(creating(people(3), tmp_path, **BACK))

    assert second.error is None
    assert second.counts == {"created": 3}
    assert {row[1] for row in table().values()} == {"created"}
    posts = "POST /services/data/v{version}/composite/sobjects"
    assert emulator.stats()["calls"][posts] == sent[posts]


@pytest.mark.usefixtures("duckdb")
def test_a_retry_writes_back_what_all_its_tries_did(emulator: EmulatorServer, tmp_path: Path) -> None:
    """One account of the execution, as in the report."""
    task = Task()
    emulator.add_fault("invalid_session", method="POST", path="/composite/sobjects", body='"Last 3"')
    first = task.run(creating(people(6), tmp_path, batch_size=1, concurrency=1, **BACK))
    done = set(table())
    emulator.clear_faults()
    second = task.run(creating(people(6), tmp_path, batch_size=1, concurrency=1, **BACK))

    assert (first.full["created"], len(done)) == (3, 3)
    assert second.counts == {"created": 6}
    assert {row[1] for row in table().values()} == {"created"}
    assert len(table()) == 6


def ids_of(ran: Ran) -> set[str]:
    """Ids in the results."""
    return {row["salesforce_id"] for row in ran.rows}


@pytest.mark.usefixtures("warehouse")
def test_schema_and_quoted_names_work(warehouse: str, tmp_path: Path) -> None:
    """`schema.table` means what it means in the database."""
    name = {"sqlite": "main.lead_state", "duckdb": "main.lead_state", "postgres": "public.lead_state"}[warehouse]
    execute("DROP TABLE IF EXISTS lead_state")
    ran = run(creating(people(3), tmp_path, write_back=SqlTable("warehouse", name)))

    assert {row[0] for row in table(name=name).values()} == ids_of(ran)
