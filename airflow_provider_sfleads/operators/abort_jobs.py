"""Abort ingest jobs that nobody waits for any more."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from airflow_provider_sfleads.exceptions import SalesforceLeadsError
from airflow_provider_sfleads.hooks.salesforce import SalesforceLeadsHook
from airflow_provider_sfleads.operators.journal import folder_of, open_jobs, store_of
from airflow_provider_sfleads.salesforce import ingest_jobs

log = logging.getLogger(__name__)


def abort_jobs(hook: SalesforceLeadsHook, context: Mapping[str, Any], *, base: str, dag_id: str, task_id: str) -> None:
    """Abort the jobs of an execution that is open; those that are over stay as they are.

    What they wrote stays written, and the next try of the task learns of it.

    :param context: Airflow's task context.
    :param base: the operator's ``results_path``.
    """
    store = store_of(context, folder_of(context, base=base, dag_id=dag_id, task_id=task_id))
    for job_id in open_jobs(store):
        try:
            abort(hook, job_id)
        except SalesforceLeadsError as error:
            log.error("Job %s could not be aborted: %s", job_id, error)  # noqa: TRY400 - the message says it all


def abort(hook: SalesforceLeadsHook, job_id: str) -> None:
    """Abort a job, unless it is over.

    :raises SalesforceLeadsError: where Salesforce cannot be told.
    """
    reply = hook.client.send(ingest_jobs.abort_job(job_id))
    log.warning("Job %s %s.", job_id, "is aborted" if reply.taken else "is over already")
