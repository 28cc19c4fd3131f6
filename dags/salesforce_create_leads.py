"""Create the leads that signed up in the data interval."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import DAG, CronDataIntervalTimetable, Param

from airflow_provider_sfleads.exports import SqlExport, SqlTable
from airflow_provider_sfleads.intervals import INTERVAL_MACROS
from airflow_provider_sfleads.operators.leads import SalesforceCreateLeadsOperator

SIGNUPS = """
    SELECT lead_key, first_name, last_name, company, email, phone, country, lead_source
    FROM signups
    WHERE signed_up_at >= CAST(? AS TIMESTAMPTZ) AND signed_up_at < CAST(? AS TIMESTAMPTZ)
    ORDER BY signed_up_at
"""
FIELDS = {
    "first_name": "FirstName",
    "last_name": "LastName",
    "company": "Company",
    "email": "Email",
    "phone": "Phone",
    "country": "Country",
    "lead_source": "LeadSource",
}

with DAG(
    dag_id="salesforce_create_leads",
    # A bare "0 2 * * *" would give each run an interval of zero width in Airflow 3.
    schedule=CronDataIntervalTimetable("0 2 * * *", timezone="UTC"),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    params={
        "from": Param(None, type=["null", "string"], format="date-time", title="From (leave empty in a backfill)"),
        "to": Param(None, type=["null", "string"], format="date-time", title="To, not included (as From)"),
        "dry_run": Param(default=False, type="boolean", title="Dry run: look, count and report, but change nothing"),
    },
    user_defined_macros=INTERVAL_MACROS,
    tags=["salesforce", "leads"],
    doc_md=__doc__,
):
    SalesforceCreateLeadsOperator(
        task_id="create_leads",
        export=SqlExport("warehouse", SIGNUPS, parameters=["{{ interval_start() }}", "{{ interval_end() }}"]),
        key="lead_key",
        external_id_field="External_Id__c",
        fields=FIELDS,
        results_path="{{ var.value.get('salesforce_results', '/tmp/salesforce-results') }}",
        write_back=SqlTable("warehouse", "salesforce_leads"),
        max_rejects=0.05,
        dry_run="{{ params.dry_run }}",
        # max_active_runs does not count backfills: this keeps two runs from writing at the same time.
        max_active_tis_per_dag=1,
    )
