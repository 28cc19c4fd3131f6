"""Assets and OpenLineage in a real Airflow: its scheduler starts what waits, its OpenLineage provider tells."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg
import pytest

from demo.ui import free_port
from tests.integration.real_airflow import RealAirflow, Run, real_airflow
from tests.integration.support import people

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

Event = dict[str, Any]

DAGS = Path(__file__).with_name("airflow_dags")
COUNT = 13
PEOPLE = people(3)
DIRTY: list[dict[str, Any]] = [*people(2, start=10), {"key": "K-9", "last": "x" * 81, "company": "Acme"}]
SECRETS = ("emulator-secret", "pg-hidden", "tok-hidden")
# Names are what is personal of these people.
PERSONAL = ("Last 0", "Last 10", "x" * 81)


@pytest.fixture(scope="module")
def org() -> Iterator[EmulatorServer]:
    """The org whose leads other Dags wait for."""
    from airflow_provider_sfleads.emulator import EmulatorServer, EmulatorSettings

    with EmulatorServer(EmulatorSettings()) as server:
        yield server


@pytest.fixture(scope="module")
def other() -> Iterator[EmulatorServer]:
    """An org that nobody waits for."""
    from airflow_provider_sfleads.emulator import EmulatorServer, EmulatorSettings

    with EmulatorServer(EmulatorSettings()) as server:
        yield server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where exports lie, and where lineage and results go."""
    made = tmp_path_factory.mktemp("lineage")
    (made / "good.jsonl").write_text("\n".join(map(json.dumps, PEOPLE)))
    (made / "dirty.jsonl").write_text("\n".join(map(json.dumps, DIRTY)))
    return made


@pytest.fixture(scope="module")
def airflow(postgres_url: str, folder: Path, org: EmulatorServer, other: EmulatorServer) -> Iterator[RealAirflow]:
    """One Airflow for all tests, with lineage into a file."""
    dags = Path(shutil.copytree(DAGS, folder / "dags", ignore=shutil.ignore_patterns("__pycache__")))
    transport = {"type": "file", "log_file_path": str(folder / "lineage.json"), "append": True}
    settings = {
        "AIRFLOW_VAR_FOLDER": str(folder),
        "WATCHED_HOST": urlsplit(org.url).netloc,
        **connections(postgres_url, folder, org, other),
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",
        # The API server's first answer takes long on a busy machine.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
        "AIRFLOW__OPENLINEAGE__NAMESPACE": "tests",
        # All attributes of the operators, which is what could tell too much.
        "AIRFLOW__OPENLINEAGE__INCLUDE_FULL_TASK_INFO": "True",
    }
    with real_airflow(postgres_url, folder, dags, settings) as running:
        running.wait_for(lambda: len(running.call("GET", "/dags")["dags"]) == COUNT, "the Dags are read")
        yield running


def connections(postgres_url: str, folder: Path, org: EmulatorServer, other: EmulatorServer) -> dict[str, str]:
    """The connections, and three warehouses with the same people."""
    import duckdb

    rows = [(row["key"], row["last"], row["company"]) for row in PEOPLE]
    definition = "signups (key TEXT, last TEXT, company TEXT)"
    with psycopg.connect(postgres_url) as postgres:
        postgres.execute(f"DROP TABLE IF EXISTS signups, salesforce_leads; CREATE TABLE {definition}".encode())
        postgres.cursor().executemany("INSERT INTO signups VALUES (%s, %s, %s)", rows)
    with closing(sqlite3.connect(folder / "wh.db")) as sqlite, sqlite:
        sqlite.execute(f"CREATE TABLE {definition}")
        sqlite.executemany("INSERT INTO signups VALUES (?, ?, ?)", rows)
    with duckdb.connect(str(folder / "wh.duckdb")) as duck:
        duck.execute(f"CREATE TABLE {definition}")
        duck.executemany("INSERT INTO signups VALUES (?, ?, ?)", rows)
    place = urlsplit(postgres_url)
    server = {"conn_type": "postgres", "host": place.hostname, "login": place.username, "password": "pg-hidden"}
    salesforce = {"conn_type": "salesforce_leads", "login": "emulator-key", "password": "emulator-secret"}
    found: dict[str, dict[str, Any]] = {
        "postgres": {**server, "port": place.port, "schema": "postgres"},
        "away": {**server, "port": free_port(), "schema": "postgres"},
        "sqlite": {"conn_type": "sqlite", "host": str(folder / "wh.db")},
        "duckdb": {"conn_type": "duckdb", "host": str(folder / "wh.duckdb")},
        "watched": {**salesforce, "host": org.url},
        "other": {**salesforce, "host": other.url},
        "unnamed": {**salesforce, "host": other.url},
    }
    return {f"AIRFLOW_CONN_{name.upper()}": json.dumps(fields) for name, fields in found.items()}


def test_other_dags_start_after_leads_were_synced(airflow: RealAirflow, org: EmulatorServer) -> None:
    """Those that know the connection, and those that know the org; both are told the counts."""
    synced = airflow.trigger("synced")
    synced.wait_for("success")
    report = synced.report()

    for dag_id in ("after_alias", "after_asset"):
        extra = told_to(airflow, dag_id)
        assert (extra["read"], extra["created"], extra["rejected"]) == (3, 3, 0)
        assert extra["results_path"] == report["results_path"]
    # What a task has for an inlet is what the sync has for an output.
    told = event_of(airflow, "after_asset", "COMPLETE", task="told")
    assert names(told["inputs"]) == {(f"salesforce://{urlsplit(org.url).netloc}", "Lead")}


def told_to(airflow: RealAirflow, dag_id: str) -> Event:
    """What the one event tells that starts the one run of a Dag; waits for it."""

    def runs() -> list[Event]:
        found: list[Event] = airflow.call("GET", f"/dags/{dag_id}/dagRuns")["dag_runs"]
        return found

    airflow.wait_for(runs, f"{dag_id} is started")
    (found,) = runs()
    assert found["run_type"] == "asset_triggered"
    run = Run(airflow, dag_id, found["dag_run_id"], "told")
    run.wait_for("success")
    told: Any = run.report()
    # By an alias and by its asset, an event is found twice.
    assert [each for each in told if each != told[0]] == []
    return dict(told[0])


def events(airflow: RealAirflow) -> list[Event]:
    """All that OpenLineage was told."""
    path = airflow.folder / "lineage.json"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def event_of(airflow: RealAirflow, dag_id: str, kind: str, task: str = "create") -> Event:
    """The last event of a kind of a task; waits for it."""

    def found() -> list[Event]:
        name = f"{dag_id}.{task}"
        return [event for event in events(airflow) if (event["job"]["name"], event["eventType"]) == (name, kind)]

    airflow.wait_for(found, f"{dag_id} tells of its {kind}")
    return found()[-1]


def ran(airflow: RealAirflow, dag_id: str, state: str = "success") -> Event:
    """What OpenLineage is told of the end of a run."""
    airflow.trigger(dag_id).wait_for(state)
    return event_of(airflow, dag_id, "COMPLETE" if state == "success" else "FAIL")


def names(datasets: list[Event]) -> set[tuple[str, str]]:
    """Namespaces and names."""
    return {(each["namespace"], each["name"]) for each in datasets}


def counted(datasets: list[Event], facets: str, facet: str) -> dict[tuple[str, str], int | None]:
    """Row counts by namespace and name."""
    return {(each["namespace"], each["name"]): each.get(facets, {}).get(facet, {}).get("rowCount") for each in datasets}


def read(event: Event) -> dict[tuple[str, str], int | None]:
    """Rows read, by dataset."""
    return counted(event["inputs"], "inputFacets", "inputStatistics")


def written(event: Event) -> dict[tuple[str, str], int | None]:
    """Rows written, by dataset."""
    return counted(event["outputs"], "outputFacets", "outputStatistics")


@pytest.fixture
def leads(other: EmulatorServer) -> tuple[str, str]:
    """How the other org's leads are called; there are none when a test begins."""
    other.reset()
    return (f"salesforce://{urlsplit(other.url).netloc}", "Lead")


def at_postgres(postgres_url: str, table: str) -> tuple[str, str]:
    """How a table is called."""
    return (f"postgres://{urlsplit(postgres_url).hostname}:{urlsplit(postgres_url).port}", f"postgres.public.{table}")


def test_a_file_and_the_leads(airflow: RealAirflow, folder: Path, leads: tuple[str, str]) -> None:
    """What is going to be read and written is said at the start, how many rows at the end."""
    event = ran(airflow, "from_file")
    file = ("file", str(folder / "good.jsonl"))
    assert (read(event), written(event)) == ({file: 3}, {leads: 3})
    start = event_of(airflow, "from_file", "START")
    assert (read(start), written(start)) == ({file: None}, {leads: None})


def test_postgres_and_back(airflow: RealAirflow, postgres_url: str, leads: tuple[str, str]) -> None:
    """The table that a query with parameters reads, and the one that is written back; then both, joined."""
    event = ran(airflow, "from_postgres")
    signups, kept = at_postgres(postgres_url, "signups"), at_postgres(postgres_url, "salesforce_leads")
    assert (read(event), written(event)) == ({signups: 3}, {leads: 3, kept: 3})

    event = ran(airflow, "joined")
    # How many rows of three came from which table, nobody knows; none of them was written.
    assert (read(event), written(event)) == ({signups: None, kept: None}, {leads: 0})


def test_sqlite(airflow: RealAirflow, folder: Path, leads: tuple[str, str]) -> None:
    """Its hook has no name for the database; its file has one."""
    event = ran(airflow, "from_sqlite")
    place = f"sqlite://{folder / 'wh.db'}"
    assert read(event) == {(place, "main.signups"): 3}
    assert written(event) == {leads: 3, (place, "main.salesforce_leads"): 3}


def test_duckdb(airflow: RealAirflow, folder: Path, leads: tuple[str, str]) -> None:
    """As dbt calls it."""
    event = ran(airflow, "from_duckdb")
    assert read(event) == {(f"duckdb://{folder / 'wh.duckdb'}", "main.signups"): 3}
    assert written(event) == {leads: 3}


def test_a_dry_run_writes_nothing(airflow: RealAirflow, postgres_url: str, leads: tuple[str, str]) -> None:
    """Neither is it going to."""
    event = ran(airflow, "dry")
    assert (read(event), written(event)) == ({at_postgres(postgres_url, "signups"): 3}, {})
    assert written(event_of(airflow, "dry", "START")) == {}
    assert leads


def test_a_failing_run_says_what_it_wrote(
    airflow: RealAirflow, folder: Path, postgres_url: str, leads: tuple[str, str]
) -> None:
    """Two leads are there, and known to the warehouse, though the third was rejected and failed the task."""
    event = ran(airflow, "dirty", "failed")
    assert read(event) == {("file", str(folder / "dirty.jsonl")): 3}
    assert written(event) == {leads: 2, at_postgres(postgres_url, "salesforce_leads"): 2}
    assert "1 of 3 rows were rejected" in event["run"]["facets"]["errorMessage"]["message"]


def test_a_warehouse_that_is_away_costs_no_event(airflow: RealAirflow, leads: tuple[str, str]) -> None:
    """It cannot be asked what its tables are called, so that none is an input."""
    event = ran(airflow, "unreadable", "failed")
    assert (read(event), written(event)) == ({}, {leads: 0})


def test_a_deferred_run(airflow: RealAirflow, folder: Path, leads: tuple[str, str]) -> None:
    """The process that ends it knows the counts of them all, and tells also where no Dag knows the org's asset."""
    event = ran(airflow, "deferred")
    assert (read(event), written(event)) == ({("file", str(folder / "good.jsonl")): 3}, {leads: 3})
    assert told_to(airflow, "after_unnamed")["created"] == 3


def test_nothing_tells_secrets_or_people(airflow: RealAirflow) -> None:
    """In no event, with all attributes of the operators in them."""
    if "from_postgres.create" not in {event["job"]["name"] for event in events(airflow)}:
        ran(airflow, "from_postgres")
    said = (airflow.folder / "lineage.json").read_text()
    assert ": SqlExport>>" in said
    assert not [secret for secret in (*SECRETS, *PERSONAL) if secret in said]
