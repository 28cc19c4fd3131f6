"""Create the leads that signed up in the data interval, and move those of them with a high score to MQL in one go."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sdk import DAG, Param
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_sfleads.exports import SqlExport, SqlTable
from airflow_provider_sfleads.intervals import INTERVAL_MACROS
from airflow_provider_sfleads.operators.leads import SalesforceCreateLeadsOperator, SalesforceUpdateLeadStageOperator

# What write_back keeps: a first dry run would find no such table to join.
MAKE_TABLE = """
    CREATE TABLE IF NOT EXISTS salesforce_leads
    (key TEXT PRIMARY KEY, salesforce_id TEXT, action TEXT, stage TEXT, synced_at TIMESTAMPTZ)
"""
SIGNUPS = """
    SELECT lead_key, first_name, last_name, company, email FROM signups
    WHERE signed_up_at >= CAST('{{ interval_start() }}' AS TIMESTAMPTZ)
      AND signed_up_at < CAST('{{ interval_end() }}' AS TIMESTAMPTZ)
    ORDER BY signed_up_at
"""
# The same rows, less those that were rejected, with the ids that the first task wrote back.
SCORES = """
    SELECT s.lead_key, k.salesforce_id, l.score
    FROM signups s
    JOIN salesforce_leads k ON k.key = s.lead_key
    JOIN lead_scores l ON l.lead_key = s.lead_key
    WHERE s.signed_up_at >= CAST('{{ interval_start() }}' AS TIMESTAMPTZ)
      AND s.signed_up_at < CAST('{{ interval_end() }}' AS TIMESTAMPTZ)
      AND l.scored_at < CAST('{{ interval_end() }}' AS TIMESTAMPTZ)
    ORDER BY l.scored_at DESC
"""
FIELDS = {"first_name": "FirstName", "last_name": "LastName", "company": "Company", "email": "Email"}
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
TRAP = "Only looks. Easily lost in a backfill: take the Dag salesforce_create_and_qualify_dry_run there."
DRY_RUN = {"dry_run": Param(default=False, type="boolean", title="Dry run", description=TRAP)}


def make_dag(dag_id: str, *, dry_run: bool | str, **how: Any) -> None:
    """Make the Dag, as one that changes Salesforce or as one that only looks."""
    with DAG(
        dag_id=dag_id,
        # A bare "0 4 * * *" would give each run an interval of zero width in Airflow 3.
        schedule=CronDataIntervalTimetable("0 4 * * *", timezone="UTC"),
        start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
        catchup=False,
        max_active_runs=1,
        default_args={
            "retries": 3,
            "retry_delay": timedelta(minutes=5),
            # max_active_runs does not count backfills: this keeps two runs from writing at the same time.
            "max_active_tis_per_dag": 1,
            "key": "lead_key",
            "external_id_field": "External_Id__c",
            "results_path": "{{ var.value.get('salesforce_results', '/tmp/salesforce-results') }}",
            "write_back": SqlTable("warehouse", "salesforce_leads"),
            "max_rejects": 0.05,
            "dry_run": dry_run,
        },
        user_defined_macros=INTERVAL_MACROS,
        doc_md=__doc__,
        **how,
    ):
        make_table = SQLExecuteQueryOperator(task_id="make_table", conn_id="warehouse", sql=MAKE_TABLE)
        create = SalesforceCreateLeadsOperator(
            task_id="create_leads", export=SqlExport("warehouse", SIGNUPS), fields=FIELDS
        )
        qualify = SalesforceUpdateLeadStageOperator(
            task_id="move_to_mql",
            export=SqlExport("warehouse", SCORES),
            lead_id="salesforce_id",
            score="score",
            threshold="{{ params.threshold }}",
            stage="MQL",
            ladder=["Lead", "MQL", "SAL", "SQL"],
            fields={"score": "Lead_Score__c"},
        )
        make_table >> create >> qualify


make_dag("salesforce_create_and_qualify", dry_run="{{ params.dry_run }}", params=PARAMS | DRY_RUN, tags=["leads"])
# For backfills: Airflow can lose a switch of their dialog, but not a Dag.
make_dag(
    "salesforce_create_and_qualify_dry_run",
    dry_run=True,
    params=PARAMS,
    tags=["leads", "dry run"],
    description="Says what salesforce_create_and_qualify would do, and changes nothing.",
    is_paused_upon_creation=True,
)
