"""Dags for an Airflow that tests start; its variable ``folder`` says where exports lie and results go."""

from __future__ import annotations

import os
import signal
from typing import Any

from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier
from airflow.sdk import DAG

from airflow_provider_sfleads.exports import FileExport
from airflow_provider_sfleads.notifications.report import SyncReportNotifier
from airflow_provider_sfleads.operators.leads import SalesforceCreateLeadsOperator

alert = SyncReportNotifier(SlackWebhookNotifier(slack_webhook_conn_id="slack", text="{{ sync_message }}"))
callbacks: dict[str, Any] = {"on_success_callback": alert, "on_failure_callback": alert}
create: dict[str, Any] = {
    "results_path": "{{ var.value.folder }}/results",
    "key": "key",
    "external_id_field": "External_Id__c",
    "fields": {"last": "LastName", "company": "Company"},
    "retries": 0,
}


def export(name: str) -> FileExport:
    """One of the files in the folder."""
    return FileExport(f"{{{{ var.value.folder }}}}/{name}.jsonl")


def be_killed(context: Any) -> None:  # noqa: ANN401, ARG001 - as Airflow calls it
    """End the task's process as a machine does that runs out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def go_under(context: Any) -> None:  # noqa: ANN401, ARG001
    """End the process that watches over the task's, too, as a machine does that loses its power."""
    os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


with DAG("good", schedule=None):
    SalesforceCreateLeadsOperator(task_id="create", export=export("good"), **create, **callbacks)

with DAG("dirty", schedule=None):
    SalesforceCreateLeadsOperator(task_id="create", export=export("dirty"), **create, **callbacks)

with DAG("killed", schedule=None, on_failure_callback=alert):
    SalesforceCreateLeadsOperator(task_id="create", export=export("good"), on_execute_callback=be_killed, **create)

with DAG("lost", schedule=None):
    SalesforceCreateLeadsOperator(
        task_id="create", export=export("good"), on_execute_callback=go_under, **create, **callbacks
    )

with DAG("whole", schedule=None, **callbacks):
    SalesforceCreateLeadsOperator(task_id="create", export=export("good"), **create)
    SalesforceCreateLeadsOperator.partial(task_id="again", dry_run=True, max_rejects=9, **create).expand(
        export=[export("good"), export("dirty")]
    )

with DAG("whole_failing", schedule=None, **callbacks):
    SalesforceCreateLeadsOperator(task_id="create", export=export("dirty"), **create)
    SalesforceCreateLeadsOperator(task_id="never", export=FileExport("/nonexistent/leads.csv"), **create)
