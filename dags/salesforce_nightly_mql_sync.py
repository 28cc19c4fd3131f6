"""Move the leads whose score crossed the threshold in the data interval to MQL, never back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sdk import DAG, Param
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_sfleads.exports import SqlExport, SqlTable
from airflow_provider_sfleads.intervals import INTERVAL_MACROS
from airflow_provider_sfleads.operators.leads import SalesforceUpdateLeadStageOperator

# What write_back keeps: a first dry run would find no such table to join.
MAKE_TABLE = """
    CREATE TABLE IF NOT EXISTS salesforce_leads
    (key TEXT PRIMARY KEY, salesforce_id TEXT, action TEXT, stage TEXT, synced_at TIMESTAMPTZ)
"""
SCORES = """
    SELECT s.lead_key, s.score, s.stage, k.salesforce_id
    FROM lead_scores s LEFT JOIN salesforce_leads k ON k.key = s.lead_key
    WHERE s.scored_at >= CAST('{{ interval_start() }}' AS TIMESTAMPTZ)
      AND s.scored_at < CAST('{{ interval_end() }}' AS TIMESTAMPTZ)
    ORDER BY s.scored_at DESC
"""
# The format makes it a calendar in the form, but lets any text pass that comes by the API.
DATE: dict[str, Any] = {"type": ["null", "string"], "format": "date-time", "pattern": r"^\d{4}-\d\d-\d\d"}
WHEN = "Both empty: the run's own interval, which is its day in a backfill, and the last whole day in a run by hand."
MQL = "A lead with a higher score becomes MQL."
PARAMS = {
    "from": Param(None, **DATE, title="From", description=WHEN),
    "to": Param(None, **DATE, title="To", description="Not included."),
    # With `minimum=0`, the form would turn -1 into 0 without a word.
    "threshold": Param(70, type="number", exclusiveMinimum=-1, title="Threshold", description=MQL),
}
TRAP = "Only looks. Easily lost in a backfill: take the Dag salesforce_nightly_mql_sync_dry_run there."
DRY_RUN = {"dry_run": Param(default=False, type="boolean", title="Dry run", description=TRAP)}


def make_dag(dag_id: str, *, dry_run: bool | str, **how: Any) -> None:
    """Make the Dag, as one that changes Salesforce or as one that only looks."""
    with DAG(
        dag_id=dag_id,
        # A bare "0 3 * * *" would give each run an interval of zero width in Airflow 3.
        schedule=CronDataIntervalTimetable("0 3 * * *", timezone="UTC"),
        start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
        catchup=False,
        max_active_runs=1,
        # max_active_runs does not count backfills: this keeps two runs from writing at the same time.
        default_args={"retries": 3, "retry_delay": timedelta(minutes=5), "max_active_tis_per_dag": 1},
        user_defined_macros=INTERVAL_MACROS,
        doc_md=__doc__,
        **how,
    ):
        make_table = SQLExecuteQueryOperator(task_id="make_table", conn_id="warehouse", sql=MAKE_TABLE)
        make_table >> SalesforceUpdateLeadStageOperator(
            task_id="move_to_mql",
            export=SqlExport("warehouse", SCORES),
            key="lead_key",
            # The id that the warehouse knows; the external ID where it knows none.
            lead_id="salesforce_id",
            external_id_field="External_Id__c",
            score="score",
            threshold="{{ params.threshold }}",
            current_stage="stage",
            from_stages=[None, "Lead"],
            stage="MQL",
            ladder=["Lead", "MQL", "SAL", "SQL"],
            fields={"score": "Lead_Score__c"},
            results_path="{{ var.value.get('salesforce_results', '/tmp/salesforce-results') }}",
            write_back=SqlTable("warehouse", "salesforce_leads"),
            max_rejects=0.05,
            dry_run=dry_run,
        )


make_dag("salesforce_nightly_mql_sync", dry_run="{{ params.dry_run }}", params=PARAMS | DRY_RUN, tags=["leads"])
# For backfills: Airflow can lose a switch of their dialog, but not a Dag.
make_dag(
    "salesforce_nightly_mql_sync_dry_run",
    dry_run=True,
    params=PARAMS,
    tags=["leads", "dry run"],
    description="Says what salesforce_nightly_mql_sync would do, and changes nothing.",
    is_paused_upon_creation=True,
)
