"""Leads that Sales has moved on are left where they are, whatever the export claims."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.copied import copied_dag
from tests.integration.support import by_external_id, report_of

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from tests.conftest import RunDag

NIGHT = datetime(2026, 11, 20, 3, tzinfo=UTC)
MOVED_ON, FRESH = 1_000, 50
SCORES = """
    CREATE TABLE lead_scores AS
    SELECT 'L-' || n AS lead_key, 99.5 AS score, 'Lead' AS stage, TIMESTAMPTZ '2026-11-19 10:00+00' AS scored_at
    FROM range(?) AS numbers(n)
"""
# The warehouse knows every second lead's id, and all it knows of their stages is out of date.
KNOWN = """
    CREATE TABLE salesforce_leads
    (key TEXT PRIMARY KEY, salesforce_id TEXT, action TEXT, stage TEXT, synced_at TIMESTAMPTZ)
"""


@pytest.mark.parametrize("api", ["collections", "bulk"])
@pytest.mark.usefixtures("salesforce_conn")
def test_a_thousand_leads_that_sales_moved_to_sal_or_sql_stay_there(
    run_dag: RunDag, emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, api: str
) -> None:
    """The export calls them fresh, with a high score; those that are fresh in Salesforce, too, are moved."""
    import duckdb

    rows = [{"External_Id__c": f"L-{n}", "LastName": "x", "Company": "y"} for n in range(MOVED_ON + FRESH)]
    ids = emulator.seed_leads(
        [row | {"Lead_Stage__c": "MQL" if n < MOVED_ON else "Lead"} for n, row in enumerate(rows)]
    )
    for n, lead_id in enumerate(ids[:MOVED_ON]):
        emulator.edit_lead(lead_id, Lead_Stage__c=("SAL", "SQL")[n % 2])
    warehouse = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(warehouse)) as db:
        db.execute(SCORES, [MOVED_ON + FRESH])
        db.execute(KNOWN)
        known = [(f"L-{n}", lead_id, "created", "Lead") for n, lead_id in enumerate(ids)][::2]
        db.executemany("INSERT INTO salesforce_leads VALUES (?, ?, ?, ?, now())", known)
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "duckdb", "host": str(warehouse)}))
    monkeypatch.setenv("AIRFLOW_VAR_SALESFORCE_RESULTS", str(tmp_path / "results"))
    history, before = emulator.history(), by_external_id(emulator)

    insists = {'key="lead_key",': f'key="lead_key", api="{api}",'}
    dag = copied_dag("salesforce_nightly_mql_sync", f"by_{api}", tmp_path, insists)
    dag_run = run_dag(dag, logical_date=NIGHT)

    assert dag_run.state == "success"
    report = report_of(dag_run, "move_to_mql")
    assert (report["read"], report["updated"], report["unchanged"]) == (MOVED_ON + FRESH, FRESH, MOVED_ON)
    assert (report["api"], report["unchanged_reasons"]) == (api, {"beyond_stage": MOVED_ON})
    after = by_external_id(emulator)
    assert {key for key, lead in after.items() if lead != before[key]} == {f"L-{MOVED_ON + n}" for n in range(FRESH)}
    touched = {step["lead_id"] for step in emulator.history()[len(history) :]}
    assert touched == set(ids[MOVED_ON:])
