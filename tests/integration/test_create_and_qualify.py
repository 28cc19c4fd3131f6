"""Leads that are created and qualified in one go: the ids of the first task feed the second."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG

from airflow_provider_sfleads.exports import FileExport, SqlExport
from tests.integration.copied import DAGS
from tests.integration.support import Record, by_external_id, creating, moving, report_of, results_of, writes

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

    from airflow_provider_sfleads.emulator import EmulatorServer
    from tests.conftest import RunDag

pytestmark = pytest.mark.usefixtures("salesforce_conn")

NIGHT = datetime(2026, 11, 20, 4, tzinfo=UTC)
ROWS = 40
# One that Sales knows, one that Salesforce refuses, and one that signed up after the interval.
KNOWN, REFUSED, LATER = "L-3", "L-5", "L-late"
QUALIFIED = {f"L-{n}" for n in range(20, ROWS)}


def signups() -> list[Record]:
    """People, every second half of them with a score above the threshold of 70."""
    rows: list[Record] = [
        {"key": f"L-{n}", "last": f"Last {n}", "company": "Acme", "score": 90 if n >= ROWS // 2 else 70, "day": "19"}
        for n in range(ROWS)
    ]
    rows[3]["score"] = rows[5]["score"] = 99
    rows[5]["company"] = None
    return [*rows, {"key": LATER, "last": "Late", "company": "Acme", "score": 99, "day": "20"}]


@pytest.fixture
def _warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The people in a DuckDB file, with two scores each, of which the newer one counts."""
    import duckdb

    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as db:
        db.execute(
            "CREATE TABLE signups (lead_key TEXT, first_name TEXT, last_name TEXT, company TEXT, email TEXT, "
            "signed_up_at TIMESTAMPTZ)"
        )
        db.execute("CREATE TABLE lead_scores (lead_key TEXT, score DOUBLE, stage TEXT, scored_at TIMESTAMPTZ)")
        for row in signups():
            day = f"2026-11-{row['day']}"
            person = [row["key"], row["last"], row["company"], f"{day} 10:00+00"]
            db.execute("INSERT INTO signups VALUES (?, NULL, ?, ?, NULL, ?)", person)
            for hour, score in (("11", 100 - row["score"]), ("12", row["score"])):
                db.execute("INSERT INTO lead_scores VALUES (?, ?, NULL, ?)", [row["key"], score, f"{day} {hour}:00+00"])
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "duckdb", "host": str(path)}))
    monkeypatch.setenv("AIRFLOW_VAR_SALESFORCE_RESULTS", str(tmp_path / "results"))


def run_example(run_dag: RunDag, name: str = "salesforce_create_and_qualify", **conf: Any) -> DagRun:
    """Run the example Dag for its night."""
    from demo.dagbag import DagBag

    dag = DagBag(dag_folder=str(DAGS / "salesforce_create_and_qualify.py")).dags[name]
    return run_dag(dag, logical_date=NIGHT, run_conf=conf)


def stages(emulator: EmulatorServer) -> dict[str, str | None]:
    """Where the leads stand, by external ID."""
    return {key: lead["Lead_Stage__c"] for key, lead in by_external_id(emulator).items()}


def check(created: Record, moved: Record, emulator: EmulatorServer) -> None:
    """What there was to create is created, what there was to qualify is qualified, and by the ids of the first task."""
    assert (created["created"], created["unchanged"], created["rejected"]) == (ROWS - 2, 1, 1)
    assert [row["key"] for row in results_of(created) if row["action"] == "rejected"] == [REFUSED]
    assert (moved["updated"], moved["rejected"], moved["not_sent"]) == (len(QUALIFIED), 0, 0)
    expected: dict[str, str | None] = {f"L-{n}": None for n in range(ROWS) if f"L-{n}" != REFUSED}
    assert stages(emulator) == expected | dict.fromkeys(QUALIFIED, "MQL") | {KNOWN: "SAL"}
    ids = {row["key"]: row["salesforce_id"] for row in results_of(created)}
    assert {row["salesforce_id"] for row in results_of(moved) if row["action"] == "updated"} == {
        ids[key] for key in QUALIFIED
    }


@pytest.mark.usefixtures("_warehouse")
def test_the_example_dag_creates_and_qualifies_in_one_run_and_a_second_one_changes_nothing(
    run_dag: RunDag, emulator: EmulatorServer
) -> None:
    """Whom Salesforce refuses is no trouble to the second task, and whom Sales has taken over stays there."""
    emulator.seed_leads([{"External_Id__c": KNOWN, "LastName": "x", "Company": "y", "Lead_Stage__c": "SAL"}])
    dag_run = run_example(run_dag)

    assert dag_run.state == "success"
    check(report_of(dag_run, "create_leads"), report_of(dag_run, "move_to_mql"), emulator)
    # The second task has asked by id only: not one external ID had to be looked for.
    assert not [request for request in emulator.requests() if "External_Id__c" in request["query"]]

    history, sent = emulator.history(), len(writes(emulator))
    again = run_example(run_dag)
    assert again.state == "success"
    assert (report_of(again, "create_leads")["created"], report_of(again, "move_to_mql")["updated"]) == (0, 0)
    assert emulator.history() == history
    assert len(writes(emulator)) - sent == 1, "the create asks by trying; there is nothing to qualify"


@pytest.mark.parametrize("how", [{"name": "salesforce_create_and_qualify_dry_run"}, {"dry_run": True}], ids=str)
@pytest.mark.usefixtures("_warehouse")
def test_a_first_dry_run_goes_through_and_changes_nothing(
    run_dag: RunDag, emulator: EmulatorServer, how: dict[str, Any]
) -> None:
    """There is no table of leads known yet, and it takes none for that."""
    dag_run = run_example(run_dag, **how)

    assert dag_run.state == "success"
    assert report_of(dag_run, "create_leads")["would_create"] == ROWS - 1
    assert report_of(dag_run, "move_to_mql")["dry_run"] is True
    assert (emulator.leads(), writes(emulator)) == ([], [])


def test_the_results_of_the_first_task_can_feed_the_second_without_a_warehouse(
    run_dag: RunDag, emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB joins the file with the results, as docs/how-to/create-and-qualify.md shows."""
    monkeypatch.setenv("AIRFLOW_CONN_DUCKDB", json.dumps({"conn_type": "duckdb"}))
    emulator.seed_leads([{"External_Id__c": KNOWN, "LastName": "x", "Company": "y", "Lead_Stage__c": "SAL"}])
    path = tmp_path / "signups.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, signups()[0])
        writer.writeheader()
        writer.writerows(signups()[:ROWS])
    scored = """
        SELECT key, salesforce_id, score
        FROM read_csv('{{ params.file }}')
        JOIN read_parquet('{{ ti.xcom_pull("create_leads")["results_path"] }}/results-*.parquet') USING (key)
        WHERE action IN ('created', 'unchanged')
    """
    with DAG("from_a_file", schedule=None, params={"file": str(path)}) as dag:
        create = creating(FileExport(str(path)), tmp_path / "results", task_id="create_leads", max_rejects=1)
        qualify = moving(
            SqlExport("duckdb", scored),
            tmp_path / "results",
            task_id="move_to_mql",
            lead_id="salesforce_id",
            external_id_field=None,
            score="score",
            threshold=70,
        )
        create >> qualify
    dag_run = run_dag(dag)

    assert dag_run.state == "success"
    check(report_of(dag_run, "create_leads"), report_of(dag_run, "move_to_mql"), emulator)
