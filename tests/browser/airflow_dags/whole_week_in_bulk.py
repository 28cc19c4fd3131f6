"""A Dag for the browser's journey: it looks at all leads at once, in bulk, however few they are."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_sfleads.exports import SqlExport
from airflow_provider_sfleads.operators.leads import SalesforceCreateLeadsOperator

with DAG("whole_week_in_bulk", schedule=None, tags=["leads"]):
    SalesforceCreateLeadsOperator(
        task_id="update_leads",
        export=SqlExport("warehouse", "SELECT lead_key, last_name, company FROM signups ORDER BY signed_up_at"),
        key="lead_key",
        external_id_field="External_Id__c",
        fields={"last_name": "LastName", "company": "Company"},
        constants={"Title": "seen by the browser"},
        existing="update",
        api="bulk",
        deferrable=True,
        results_path="{{ var.value.salesforce_results }}",
        max_rejects=0.2,
    )
