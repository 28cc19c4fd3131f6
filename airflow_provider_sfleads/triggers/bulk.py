"""Wait for Bulk API 2.0 jobs in the triggerer, while no worker does."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_sfleads.exceptions import SalesforceLeadsError
from airflow_provider_sfleads.salesforce.ingest_jobs import OVER, JobState, abort, found_job, get_job, next_poll
from airflow_provider_sfleads.salesforce.wire import Call, Reply
from airflow_provider_sfleads.version_compat import amask_secret, call_on_kill

if TYPE_CHECKING:
    from airflow_provider_sfleads.salesforce.async_client import AsyncClient
    from airflow_provider_sfleads.salesforce.settings import Settings

DELETED = "Deleted"
# Seconds from a trigger's start before which it does not fire. A worker that defers is seen to be gone up to five
# seconds later ([workers] min_heartbeat_interval), and the scheduler takes it for the death of a task that runs again
# by then (Airflow 3.3's issues 71580 and 72716).
_HANDOVER = 8.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """What an event says of a job.

    :param state: one of Salesforce's, ``Deleted`` where there is no such job any more, or empty before it is known.
    :param processed: rows processed so far, the failed ones among them.
    :param failed: rows that failed so far.
    :param error: why the job as a whole failed.
    """

    id: str
    state: str = ""
    processed: int = 0
    failed: int = 0
    error: str | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in (*OVER, DELETED)


def read_status(call: Call, reply: Reply, job_id: str, *, conn_id: str) -> JobStatus:
    """Read an answer to :func:`~airflow_provider_sfleads.salesforce.ingest_jobs.get_job`; a job that is gone is over.

    :raises RequestRefusedError: where it was refused for another reason.
    """
    job = found_job(call, reply, conn_id=conn_id)
    if job is None:
        return JobStatus(id=job_id, state=DELETED)
    return JobStatus(
        id=job_id, state=job.state.value, processed=job.processed, failed=job.failed, error=job.error_message
    )


async def wait_for_jobs(
    client: AsyncClient,
    jobs: dict[str, JobStatus],
    *,
    started_at: float,
    queued_until: Mapping[str, float],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    now: Callable[[], float] = time.time,
) -> None:
    """Ask about jobs, less and less often, until all are over, or one has stood in the queue for too long.

    What passes is ridden out.

    :param jobs: the jobs by id, with what is known of each; brought up to date by every answer.
    :param started_at: when they began; it and ``queued_until`` are the trigger's.
    :param sleep: waits some seconds.
    :param now: wall clock in seconds since the epoch.
    :raises SalesforceLeadsError: for what does not pass.
    """

    def until_deadline() -> float:
        queued = (job.id for job in jobs.values() if job.state == JobState.UPLOAD_COMPLETE)
        return min((queued_until.get(job_id, math.inf) for job_id in queued), default=math.inf) - now()

    while True:
        try:
            for job_id in unfinished(jobs):
                await _ask(client, jobs, job_id)
        except SalesforceLeadsError as error:
            if not error.transient:
                raise
            _log.warning("Jobs cannot be asked about just now, and go on meanwhile: %s", error)
        else:
            if not unfinished(jobs) or until_deadline() <= 0:
                return
        usual, left = next_poll(max(0.0, now() - started_at)), until_deadline()
        await sleep(min(usual, left) if left > 0 else usual)


def unfinished(jobs: Mapping[str, JobStatus]) -> tuple[str, ...]:
    """Return the ids of the jobs that are not known to be over."""
    return tuple(job.id for job in jobs.values() if not job.over)


async def _ask(client: AsyncClient, jobs: dict[str, JobStatus], job_id: str) -> None:
    call = get_job(job_id)
    found = read_status(call, await client.send(call), job_id, conn_id=client.settings.conn_id)
    if found != jobs[job_id]:
        _log.info(
            "Job %s: %s, %d rows processed, %d of them failed", found.id, found.state, found.processed, found.failed
        )
    jobs[job_id] = found


class SalesforceBulkJobTrigger(BaseTrigger):
    """Fires once, when all of some Bulk API 2.0 jobs are over, or one has stood in the org's queue for too long.

    Polls grow rarer: a job of seconds is noticed at once, one of an hour costs some 70 requests. A triggerer that is
    restarted goes on as often as before. Neither trouble that passes nor a token that expires ends it. It fires no
    earlier than eight seconds after it has started: Airflow 3.3 fails a task that is resumed too soon.

    The event is ``{"status", "jobs", "api_calls", "token_requests", "message"}``: ``finished`` with the jobs' ``id``,
    ``state`` (``Deleted`` for one that is gone), ``processed``, ``failed`` and ``error``, in the order of ``job_ids``;
    ``queued`` with the same, where one of them is past its time in ``queued_until`` and has not begun; or ``error``
    with a message, where waiting is no use. Requests are counted from the (re)start on.

    :param salesforce_conn_id: connection of type ``salesforce_leads``; read in the triggerer.
    :param job_ids: the jobs.
    :param started_at: when they were closed, in seconds since the epoch.
    :param abort_on_kill: whether to abort what is not over when somebody marks or clears the task.
    :param queued_until: until when jobs may stand in the org's queue, in seconds since the epoch, by id; all others,
        and those of triggers that an older version has stored, may for ever.
    """

    def __init__(
        self,
        *,
        salesforce_conn_id: str,
        job_ids: Sequence[str],
        started_at: float,
        abort_on_kill: bool = True,
        queued_until: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.salesforce_conn_id = salesforce_conn_id
        self.job_ids = list(job_ids)
        self.started_at = started_at
        self.abort_on_kill = abort_on_kill
        self.queued_until = dict(queued_until or {})
        self._jobs = {job_id: JobStatus(id=job_id) for job_id in self.job_ids}

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments, which hold no secret."""
        arguments = {
            "salesforce_conn_id": self.salesforce_conn_id,
            "job_ids": self.job_ids,
            "started_at": self.started_at,
            "abort_on_kill": self.abort_on_kill,
            "queued_until": self.queued_until,
        }
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the one event."""
        event: dict[str, Any] = {"status": "finished", "api_calls": 0, "token_requests": 0, "message": None}
        handed_over = time.monotonic() + _HANDOVER
        try:
            async with await self._client() as client:
                try:
                    await wait_for_jobs(client, self._jobs, started_at=self.started_at, queued_until=self.queued_until)
                finally:
                    event |= {"api_calls": client.api_calls, "token_requests": client.token_requests}
        except asyncio.CancelledError:
            await call_on_kill(self)
            raise
        except SalesforceLeadsError as error:
            event |= {"status": "error", "message": str(error)}
        if event["status"] == "finished" and unfinished(self._jobs):
            event["status"] = "queued"
        event["jobs"] = [asdict(job) for job in self._jobs.values()]
        await asyncio.sleep(max(0.0, handed_over - time.monotonic()))
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    async def on_kill(self) -> None:
        """Abort the jobs that are not over; Airflow calls this when somebody marks or clears the deferred task."""
        running = unfinished(self._jobs)
        if not self.abort_on_kill or not running:
            return
        async with await self._client() as client:
            await asyncio.gather(*(self._abort(client, job_id) for job_id in running))

    async def _abort(self, client: AsyncClient, job_id: str) -> None:
        try:
            await client.answered(abort(job_id, conn_id=self.salesforce_conn_id))
        except SalesforceLeadsError as error:
            # The others are aborted all the same.
            _log.warning("Job %s is not aborted, and may go on: %s", job_id, error)

    async def _client(self) -> AsyncClient:
        from airflow_provider_sfleads.salesforce.async_client import AsyncClient

        return AsyncClient(await self._settings(), on_secret=amask_secret)

    async def _settings(self) -> Settings:
        from airflow.providers.common.compat.connection import get_async_connection
        from airflow.providers.common.compat.sdk import AirflowNotFoundException

        from airflow_provider_sfleads.hooks.connection_fields import no_connection, read_settings, secrets_in

        try:
            connection = await get_async_connection(self.salesforce_conn_id)
        except AirflowNotFoundException as error:
            raise no_connection(self.salesforce_conn_id) from error
        # A thread, for to decrypt a private key takes its time, and other triggers wait for the loop.
        settings = await asyncio.to_thread(read_settings, connection, self.salesforce_conn_id)
        for secret in secrets_in(settings):
            await amask_secret(secret)
        return settings
