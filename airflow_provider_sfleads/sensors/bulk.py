"""Wait for a Bulk API 2.0 job in a task of its own."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseSensorOperator, PokeReturnValue, conf

from airflow_provider_sfleads.exceptions import BulkJobError, SalesforceLeadsError
from airflow_provider_sfleads.hooks.permanent_errors import no_retry_for_permanent
from airflow_provider_sfleads.operators.links import BulkJobLink, Links

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_sfleads.hooks.salesforce import SalesforceLeadsHook

_COMPLETE = "JobComplete"


class SalesforceBulkJobSensor(BaseSensorOperator):
    """Wait until a Bulk API 2.0 job of leads is over, whoever made it.

    A job that was processed to its end is a success, also where rows failed, and its counts are the XCom: ``{"job_id",
    "state", "processed", "failed"}``, with the failed rows among the processed ones. One that ended ``Failed`` or
    ``Aborted``, or was deleted, fails the task without retry. Trouble of the moment is waited out. The job is left
    alone whatever becomes of the task.

    :param job_id: id of the ingest job (``750...``).
    :param salesforce_conn_id: connection of type ``salesforce_leads``.
    :param deferrable: wait in the triggerer, with polls that grow rarer, instead of by ``mode`` and ``poke_interval``;
        the default is Airflow's ``[operators] default_deferrable``. ``timeout`` applies either way.
    """

    template_fields: Sequence[str] = ("job_id", "salesforce_conn_id")
    operator_extra_links = (BulkJobLink(),)
    ui_color = "#e8f3fc"

    def __init__(
        self,
        *,
        job_id: str,
        salesforce_conn_id: str = "salesforce_leads_default",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job_id = job_id
        self.salesforce_conn_id = salesforce_conn_id
        self.deferrable = deferrable
        self._hook: SalesforceLeadsHook | None = None
        self._links: Links | None = None

    @no_retry_for_permanent()
    def poke(self, context: Context) -> PokeReturnValue:
        """Ask about the job once; where it is not over, a deferrable sensor leaves it to the triggerer from here on."""
        from airflow_provider_sfleads.salesforce.ingest_jobs import get_job
        from airflow_provider_sfleads.triggers.bulk import SalesforceBulkJobTrigger, read_status

        self._show_job(context)
        call = get_job(self.job_id)
        try:
            found = read_status(call, self._own_hook().send(call), self.job_id, conn_id=self.salesforce_conn_id)
        except SalesforceLeadsError as error:
            if not error.transient:
                raise
            self.log.warning("Job %s cannot be asked about just now: %s", self.job_id, error)
        else:
            self.log.info(
                "Job %s: %s, %d rows processed, %d of them failed", found.id, found.state, found.processed, found.failed
            )
            if found.over:
                return PokeReturnValue(is_done=True, xcom_value=self._counts(asdict(found)))
        if self.deferrable:
            trigger = SalesforceBulkJobTrigger(
                salesforce_conn_id=self.salesforce_conn_id,
                job_ids=[self.job_id],
                started_at=time.time(),
                abort_on_kill=False,
            )
            self.defer(trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=self.timeout))
        return PokeReturnValue(is_done=False)

    @no_retry_for_permanent()
    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Say what the triggerer found.

        :param context: unused.
        :param event: of :class:`~airflow_provider_sfleads.triggers.bulk.SalesforceBulkJobTrigger`.
        """
        if event.get("status") != "finished":
            raise SalesforceLeadsError(str(event.get("message") or f"Nobody waits for job {self.job_id} any more."))
        return self._counts(event["jobs"][0])

    def _counts(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """Return the XCom of a job that was processed to its end.

        :raises BulkJobError: where it was not.
        """
        from airflow_provider_sfleads.salesforce.job_control import advice

        state, processed, failed = job["state"], job["processed"], job["failed"]
        if state != _COMPLETE:
            reason = f": {job['error']}" if job.get("error") else ""
            raise BulkJobError(
                f"Job {self.job_id} (connection {self.salesforce_conn_id!r}) is {state}{reason}. It processed "
                f"{processed} rows, {failed} of which failed; what it wrote stays written. See Setup > Bulk Data Load "
                f"Jobs for the rest. {advice(job.get('error'))}".rstrip()
            )
        return {"job_id": self.job_id, "state": state, "processed": processed, "failed": failed}

    def _show_job(self, context: Context) -> None:
        # One for all pokes of a process: it knows what it has pushed.
        self._links = self._links or Links(context["ti"])
        self._links.show_jobs(self._own_hook().client.base_url, [self.job_id])

    def _own_hook(self) -> SalesforceLeadsHook:
        from airflow_provider_sfleads.hooks.salesforce import SalesforceLeadsHook

        # Likewise one: it holds the token.
        self._hook = self._hook or SalesforceLeadsHook(self.salesforce_conn_id)
        return self._hook
