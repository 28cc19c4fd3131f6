"""Move the leads whose score crossed the threshold in the data interval to MQL, never back."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import DAG, CronDataIntervalTimetable, Param

from airflow_provider_sfleads.exports import SqlExport, SqlTable
from airflow_provider_sfleads.intervals import INTERVAL_MACROS
from airflow_provider_sfleads.operators.leads import SalesforceUpdateLeadStageOperator

SCORES = """
    SELECT lead_key, score, stage, scored_at
    FROM lead_scores
    WHERE scored_at >= CAST(? AS TIMESTAMPTZ) AND scored_at < CAST(? AS TIMESTAMPTZ)
    ORDER BY scored_at DESC
"""

with DAG(
    dag_id="salesforce_nightly_mql_sync",
    # A bare "0 3 * * *" would give each run an interval of zero width in Airflow 3.
    schedule=CronDataIntervalTimetable("0 3 * * *", timezone="UTC"),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    params={
        "from": Param(None, type=["null", "string"], format="date-time", title="From (leave empty in a backfill)"),
        "to": Param(None, type=["null", "string"], format="date-time", title="To, not included (as From)"),
        "threshold": Param(70, type="number", minimum=0, title="Threshold: a lead with a higher score becomes MQL"),
        "dry_run": Param(default=False, type="boolean", title="Dry run: look, count and report, but change nothing"),
    },
    user_defined_macros=INTERVAL_MACROS,
    tags=["salesforce", "leads"],
    doc_md=__doc__,
):
    SalesforceUpdateLeadStageOperator(
        task_id="move_to_mql",
        export=SqlExport("warehouse", SCORES, parameters=["{{ interval_start() }}", "{{ interval_end() }}"]),
        key="lead_key",
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
        dry_run="{{ params.dry_run }}",
        # max_active_runs does not count backfills: this keeps two runs from writing at the same time.
        max_active_tis_per_dag=1,
    )
