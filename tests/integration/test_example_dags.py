from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.support import report_of

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from airflow_provider_sfleads.emulator import EmulatorServer
    from tests.conftest import RunDag

DAGS = Path(__file__).parents[2] / "dags"
DAY = datetime(2026, 11, 20, 2, tzinfo=UTC)


def example_dag(dag_id: str) -> DAG:
    """The Dag as Airflow reads it from ``dags/``."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(DAGS / f"{dag_id}.py"))
    assert not bag.import_errors
    return bag.dags[dag_id]


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DuckDB warehouse with two days of sign-ups and scores."""
    import duckdb

    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as db:
        db.execute(
            "CREATE TABLE signups (lead_key VARCHAR, first_name VARCHAR, last_name VARCHAR, company VARCHAR, "
            "email VARCHAR, phone VARCHAR, city VARCHAR, country VARCHAR, lead_source VARCHAR, "
            "signed_up_at TIMESTAMPTZ)"
        )
        db.execute("CREATE TABLE lead_scores (lead_key VARCHAR, score DOUBLE, stage VARCHAR, scored_at TIMESTAMPTZ)")
        for n, day in enumerate(("2026-11-19 10:00+00", "2026-11-19 11:00+00", "2026-11-20 10:00+00")):
            db.execute(
                "INSERT INTO signups VALUES (?, 'Ada', ?, 'Acme', ?, NULL, NULL, NULL, 'Web', ?)",
                [f"L-{n}", f"Lovelace {n}", f"ada{n}@example.com", day],
            )
            db.execute("INSERT INTO lead_scores VALUES (?, ?, NULL, ?)", [f"L-{n}", 69.5 + n, day])
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "duckdb", "host": str(path)}))
    monkeypatch.setenv("AIRFLOW_VAR_SALESFORCE_RESULTS", str(tmp_path / "results"))
    return path


@pytest.mark.usefixtures("salesforce_conn", "warehouse")
def test_both_example_dags_create_and_qualify_what_is_new_in_the_interval(
    run_dag: RunDag, emulator: EmulatorServer
) -> None:
    """The day's sign-ups become leads, and those over the threshold become MQLs."""
    created = run_dag(example_dag("salesforce_create_leads"), logical_date=DAY)
    moved = run_dag(example_dag("salesforce_nightly_mql_sync"), logical_date=DAY.replace(hour=3))

    assert (created.state, moved.state) == ("success", "success")
    assert report_of(created, "create_leads")["created"] == 2
    assert report_of(moved, "move_to_mql")["updated"] == 1
    stages = {lead["External_Id__c"]: lead["Lead_Stage__c"] for lead in emulator.leads()}
    assert stages == {"L-0": None, "L-1": "MQL"}
