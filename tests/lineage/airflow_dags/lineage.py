"""Dags for an Airflow that tests start; its variable ``folder`` says where exports lie and results go."""

from __future__ import annotations

import os
from typing import Any

from airflow.sdk import DAG, Asset, AssetAlias, get_current_context, task

from airflow_provider_sfleads.exports import FileExport, SqlExport, SqlTable
from airflow_provider_sfleads.operators import load_run as pipeline
from airflow_provider_sfleads.operators.leads import SalesforceCreateLeadsOperator

# Workers leave the wait for jobs to the triggerer at once.
pipeline._PATIENCE = 0.0

LEADS = Asset(f"salesforce://{os.environ['WATCHED_HOST']}/Lead")
GOOD = FileExport("{{ var.value.folder }}/good.jsonl")
create: dict[str, Any] = {
    "task_id": "create",
    "results_path": "{{ var.value.folder }}/results",
    "key": "key",
    "external_id_field": "External_Id__c",
    "fields": {"last": "LastName", "company": "Company"},
    "retries": 0,
}
other: dict[str, Any] = {**create, "salesforce_conn_id": "other"}
query = "SELECT s.key, s.last, s.company FROM signups s"
postgres = SqlExport(
    "postgres", f"{query} WHERE s.company = %(company)s", {"company": "Acme", "api_token": "tok-hidden"}
)


@task
def told() -> list[dict[str, Any]]:
    """What the events that started the run tell."""
    return [event.extra for events in get_current_context()["triggering_asset_events"].values() for event in events]


@task
def told_by_asset() -> list[dict[str, Any]]:
    """The same, as one asks who knows the asset."""
    return [event.extra for event in get_current_context()["triggering_asset_events"][LEADS]]


with DAG("synced", schedule=None):
    SalesforceCreateLeadsOperator(export=GOOD, salesforce_conn_id="watched", **create)

with DAG("after_alias", schedule=[AssetAlias("salesforce_leads:watched")]):
    told()

with DAG("after_asset", schedule=[LEADS]):
    told_by_asset.override(task_id="told", inlets=[LEADS])()

with DAG("from_file", schedule=None):
    SalesforceCreateLeadsOperator(export=GOOD, **other)

with DAG("from_postgres", schedule=None):
    SalesforceCreateLeadsOperator(export=postgres, write_back=SqlTable("postgres", "salesforce_leads"), **other)

with DAG("joined", schedule=None):
    joined = SqlExport("postgres", f"{query} LEFT JOIN salesforce_leads k ON k.key = s.key WHERE s.company LIKE 'A%'")
    SalesforceCreateLeadsOperator(export=joined, **other)

with DAG("from_sqlite", schedule=None):
    SalesforceCreateLeadsOperator(
        export=SqlExport("sqlite", f"{query} WHERE s.company = ?", ["Acme"]),
        write_back=SqlTable("sqlite", "salesforce_leads"),
        **other,
    )

with DAG("from_duckdb", schedule=None):
    SalesforceCreateLeadsOperator(export=SqlExport("duckdb", query), **other)

with DAG("dry", schedule=None):
    SalesforceCreateLeadsOperator(
        export=postgres, write_back=SqlTable("postgres", "nowhere"), dry_run="{{ 1 == 1 }}", **other
    )

with DAG("dirty", schedule=None):
    SalesforceCreateLeadsOperator(
        export=FileExport("{{ var.value.folder }}/dirty.jsonl"),
        write_back=SqlTable("postgres", "salesforce_leads"),
        **other,
    )

with DAG("unreadable", schedule=None):
    SalesforceCreateLeadsOperator(export=SqlExport("away", query), **other)

with DAG("deferred", schedule=None):
    SalesforceCreateLeadsOperator(
        export=GOOD, api="bulk", deferrable=True, **{**create, "salesforce_conn_id": "unnamed"}
    )

# No Dag names the asset of this connection's org.
with DAG("after_unnamed", schedule=[AssetAlias("salesforce_leads:unnamed")]):
    told()
