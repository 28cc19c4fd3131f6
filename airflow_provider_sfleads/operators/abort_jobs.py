"""Abort ingest jobs that nobody waits for any more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_sfleads.hooks.salesforce import SalesforceLeadsHook
from airflow_provider_sfleads.operators.journal import folder_of, open_jobs, store_of
from airflow_provider_sfleads.salesforce.job_control import try_to_abort


def abort_jobs(hook: SalesforceLeadsHook, context: Mapping[str, Any], *, base: str, dag_id: str, task_id: str) -> None:
    """Abort the jobs of an execution that is open; those that are over stay as they are.

    What they wrote stays written, and the next try of the task learns of it.

    :param context: Airflow's task context.
    :param base: the operator's ``results_path``.
    """
    store = store_of(context, folder_of(context, base=base, dag_id=dag_id, task_id=task_id))
    for job_id in open_jobs(store):
        try_to_abort(hook.client.send, job_id, conn_id=hook.salesforce_conn_id)
