"""Create the leads that signed up in the data interval."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import DAG, Param
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_sfleads.exports import SqlExport, SqlTable
from airflow_provider_sfleads.intervals import INTERVAL_MACROS
from airflow_provider_sfleads.operators.leads import SalesforceCreateLeadsOperator

SIGNUPS = """
    SELECT lead_key, first_name, last_name, company, email, phone, country, lead_source
    FROM signups
    WHERE signed_up_at >= CAST('{{ interval_start() }}' AS TIMESTAMPTZ)
      AND signed_up_at < CAST('{{ interval_end() }}' AS TIMESTAMPTZ)
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
# The format makes it a calendar in the form, but lets any text pass that comes by the API.
DATE: dict[str, Any] = {"type": ["null", "string"], "format": "date-time", "pattern": r"^\d{4}-\d\d-\d\d"}
WHEN = "Both empty: the run's own interval, which is its day in a backfill, and the last whole day in a run by hand."
PARAMS = {
    "from": Param(None, **DATE, title="From", description=WHEN),
    "to": Param(None, **DATE, title="To", description="Not included."),
}
TRAP = "Only looks. Easily lost in a backfill: take the Dag salesforce_create_leads_dry_run there."
DRY_RUN = {"dry_run": Param(default=False, type="boolean", title="Dry run", description=TRAP)}


def make_dag(dag_id: str, *, dry_run: bool | str, **how: Any) -> None:
    """Make the Dag, as one that changes Salesforce or as one that only looks."""
    with DAG(
        dag_id=dag_id,
        # A bare "0 2 * * *" would give each run an interval of zero width in Airflow 3.
        schedule=CronDataIntervalTimetable("0 2 * * *", timezone="UTC"),
        start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
        catchup=False,
        max_active_runs=1,
        # max_active_runs does not count backfills: this keeps two runs from writing at the same time.
        default_args={"retries": 3, "retry_delay": timedelta(minutes=5), "max_active_tis_per_dag": 1},
        user_defined_macros=INTERVAL_MACROS,
        doc_md=__doc__,
        **how,
    ):
        SalesforceCreateLeadsOperator(
            task_id="create_leads",
            export=SqlExport("warehouse", SIGNUPS),
            key="lead_key",
            external_id_field="External_Id__c",
            fields=FIELDS,
            # True leaves out whoever is there, as lead or contact, with the same e-mail address. It costs look-ups, and
            # of two people who share an address only the first becomes a lead.
            match_email=False,
            results_path="{{ var.value.get('salesforce_results', '/tmp/salesforce-results') }}",
            write_back=SqlTable("warehouse", "salesforce_leads"),
            max_rejects=0.05,
            dry_run=dry_run,
        )


make_dag("salesforce_create_leads", dry_run="{{ params.dry_run }}", params=PARAMS | DRY_RUN, tags=["leads"])
# For backfills: Airflow can lose a switch of their dialog, but not a Dag.
make_dag(
    "salesforce_create_leads_dry_run",
    dry_run=True,
    params=PARAMS,
    tags=["leads", "dry run"],
    description="Says what salesforce_create_leads would do, and changes nothing.",
    is_paused_upon_creation=True,
)
