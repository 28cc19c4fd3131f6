"""Dags for an Airflow that tests start; its variable ``folder`` says where the export lies and results go."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_sfleads.exports import FileExport
from airflow_provider_sfleads.operators import load_run as pipeline
from airflow_provider_sfleads.operators.leads import SalesforceCreateLeadsOperator

# Workers soon leave the wait to the triggerer: how long they wait themselves is test_bulk_deferral's business.
pipeline._PATIENCE = 1.0


def create(**more: Any) -> None:
    """Insert people without an external ID: a job that is submitted twice shows."""
    SalesforceCreateLeadsOperator(
        task_id="create",
        export=FileExport("{{ var.value.folder }}/people.jsonl"),
        results_path="{{ var.value.folder }}/results",
        key="key",
        fields={"last": "LastName", "company": "Company"},
        api="bulk",
        **{"deferrable": True, **more},
    )


with DAG("unhurried", schedule=None):
    create(retries=0)

with DAG("waiting", schedule=None):
    create(retries=0, deferrable=False)

with DAG("hurried", schedule=None):
    # Time enough for a worker to get the job going on a busy machine; the deferral then has as long again.
    create(retries=1, retry_delay=timedelta(0), execution_timeout=timedelta(seconds=15))

with DAG("bystander", schedule=None):

    @task(retries=0)
    def stand_by() -> None:
        """Take a worker's slot for a moment."""

    stand_by()
