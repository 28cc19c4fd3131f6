"""One ingest job from its creation to its result files, so that none runs twice and none is left open."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from airflow_provider_sfleads.core import bulk
from airflow_provider_sfleads.core.bulk import JobInfo, JobSpec, JobState, ResultKind
from airflow_provider_sfleads.core.paging import expect
from airflow_provider_sfleads.core.replies import refusal
from airflow_provider_sfleads.core.wire import Call, Reply, Send
from airflow_provider_sfleads.exceptions import (
    ConnectionFailedError,
    OutcomeUnknownError,
    SalesforceLeadsError,
    ServiceUnavailableError,
)

log = logging.getLogger(__name__)

Download = Callable[[Call, Path], Reply]
"""Sends a call and writes what it answers into a file, whole or not at all."""

# Jobs made for one load before the run gives up; all but the last are aborted with nothing processed.
_ATTEMPTS = 3
# Seconds, doubled from one to the next.
_PAUSE = 0.5
_NOT_FOUND = 404
# Salesforce stamps whole seconds.
_CLOCK = timedelta(seconds=2)
_PASSING = (ServiceUnavailableError, ConnectionFailedError, OutcomeUnknownError)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFiles:
    """The result files of a job that is over; ``None`` where its counters say that there is nothing in one."""

    successful: Path | None
    failed: Path | None
    unprocessed: Path | None


@dataclass(slots=True, kw_only=True)
class Jobs:
    """Makes jobs, and asks for them.

    :param send: the transport.
    :param download: the transport, for result files.
    :param conn_id: the connection that errors name.
    :param user_id: the integration user.
    :param note: writes down, durably, which job carries a load (``None``: none does any more).
    :param pause: waits some seconds before a job is made anew.
    :param now: Salesforce's clock.
    """

    send: Send
    download: Download
    conn_id: str
    user_id: str | None
    note: Callable[[str, str | None], None]
    pause: Callable[[float], object]
    now: Callable[[], datetime]
    _mine: set[str] = field(default_factory=set)

    def start(self, label: str, spec: JobSpec, csv: Path) -> JobInfo:
        """Create a job, upload its rows, and let Salesforce begin.

        The job's id is written down before it can begin. An upload that may not have gone through whole is never
        added to: the job is aborted while it is open, so that nothing of it was processed, and another one is made.

        :param label: the load's name.
        :raises SalesforceLeadsError: where no job was begun.
        :raises OutcomeUnknownError: where Salesforce may have begun the job that is written down.
        """
        attempt = 1
        while True:
            try:
                job_id = self._uploaded(label, spec, csv)
            except _PASSING as error:
                if attempt == _ATTEMPTS:
                    raise ServiceUnavailableError(f"No bulk job could be begun: {error}") from error
                log.warning("Job %d of %d for this load failed before it began: %s", attempt, _ATTEMPTS, error)
                self.pause(_PAUSE * 2**attempt)
                attempt += 1
            else:
                return self._close(label, job_id)

    def look(self, job_id: str) -> JobInfo | None:
        """How a job stands; ``None`` where it is deleted."""
        call = bulk.get_job(job_id)
        reply = self.send(call)
        return None if reply.status == _NOT_FOUND else bulk.job_of(call, reply, conn_id=self.conn_id)

    def find(self, job_id: str) -> tuple[JobInfo | None, bool]:
        """How the job of an earlier try stands, and whether nothing of it was processed, nor ever will be.

        One that is still open is aborted: whether its upload is whole is not known. It is looked at again afterwards,
        since the word to begin may only just have come in.

        :raises ServiceUnavailableError: where an open job cannot be aborted now.
        """
        job = self.look(job_id)
        if job is None or job.state is not JobState.OPEN:
            return job, False
        self.abort(job_id)
        job = self.look(job_id)
        if job is not None and job.state is JobState.OPEN:
            raise ServiceUnavailableError(f"Job {job_id}, which an earlier try left open, could not be aborted.")
        return job, job is not None and job.state is JobState.ABORTED and not job.processed

    def abort(self, job_id: str) -> bool:
        """Abort a job, where it still can be; whether Salesforce has answered, in whatever words."""
        try:
            reply = self.send(bulk.abort_job(job_id))
        except SalesforceLeadsError as error:
            log.warning("Job %s may still be open: %s", job_id, error)
            return False
        log.info("Job %s %s.", job_id, "is aborted" if reply.taken else "could not be aborted: it is over")
        return True

    def fetch(self, job: JobInfo, folder: Path, *, rows: int) -> ResultFiles:
        """Download what a job that is over says of its rows.

        :param folder: where the files go; the caller removes them.
        :param rows: rows that were uploaded.
        """
        # Counters are asked of a job only where it has processed every row: they lag in one that was aborted.
        all_counted = job.state is JobState.JOB_COMPLETE and job.processed >= rows
        wanted = {
            ResultKind.SUCCESSFUL: not (all_counted and job.processed == job.failed),
            ResultKind.FAILED: not (all_counted and job.failed == 0),
            ResultKind.UNPROCESSED: job.state is not JobState.JOB_COMPLETE,
        }
        files = {kind: self._fetched(job, kind, folder) if needed else None for kind, needed in wanted.items()}
        return ResultFiles(
            successful=files[ResultKind.SUCCESSFUL],
            failed=files[ResultKind.FAILED],
            unprocessed=files[ResultKind.UNPROCESSED],
        )

    def active_rule(self) -> str | None:
        """The org's active assignment rule for leads."""
        call = bulk.active_rule_call()
        return bulk.active_rule_of(call, self.send(call), conn_id=self.conn_id)

    def _fetched(self, job: JobInfo, kind: ResultKind, folder: Path) -> Path:
        path = folder / f"{job.id}-{kind.value}.csv"
        call = bulk.results(job.id, kind)
        expect(call, self.download(call, path), conn_id=self.conn_id)
        return path

    def _uploaded(self, label: str, spec: JobSpec, csv: Path) -> str:
        job_id = self._create(spec)
        self._mine.add(job_id)
        self.note(label, job_id)
        try:
            call = bulk.upload(job_id, csv)
            expect(call, self.send(call), conn_id=self.conn_id)
        except BaseException:
            self._give_up(label, job_id)
            raise
        return job_id

    def _give_up(self, label: str, job_id: str) -> None:
        """Abort a job that has not begun; where that fails it stays written down, for the next try to abort it."""
        if self.abort(job_id):
            self.note(label, None)

    def _create(self, spec: JobSpec) -> str:
        call = bulk.create_job(spec)
        began = self.now()
        try:
            reply = self.send(call)
        except OutcomeUnknownError:
            self._abort_orphan(spec, began)
            raise
        return bulk.job_of(call, reply, conn_id=self.conn_id).id

    def _abort_orphan(self, spec: JobSpec, began: datetime) -> None:
        """Abort the job whose creation was not answered, if there is one and it cannot be anybody else's.

        An open job without rows does nothing and goes away after a day; this is for order's sake, and where two look
        alike neither is touched.
        """
        with suppress(SalesforceLeadsError):
            found: list[JobInfo] = []
            locator: str | None = None
            while True:
                call = bulk.list_jobs(locator)
                page = bulk.jobs_of(call, self.send(call), conn_id=self.conn_id)
                found += [job for job in page.jobs if self._may_be_orphan(job, spec, began)]
                if (locator := page.locator) is None:
                    break
            if len(found) == 1:
                self.abort(found[0].id)

    def _may_be_orphan(self, job: JobInfo, spec: JobSpec, began: datetime) -> bool:
        return (
            job.state is JobState.OPEN
            and job.operation == spec.operation
            and job.created_by_id == self.user_id
            and job.id not in self._mine
            and job.created_at is not None
            and job.created_at >= began - _CLOCK
        )

    def _close(self, label: str, job_id: str) -> JobInfo:
        call = bulk.close_job(job_id)
        attempt = 1
        while True:
            try:
                reply = self.send(call)
                if reply.taken:
                    return bulk.job_of(call, reply, conn_id=self.conn_id)
                # Refused, because an earlier sending went through, or because the job is not as it should be.
                job = self.look(job_id)
                if job is not None and job.state is not JobState.OPEN:
                    return job
                raise refusal(call, reply, conn_id=self.conn_id)
            except SalesforceLeadsError as error:
                is_passing = isinstance(error, _PASSING)
                if attempt == 1 and not is_passing:
                    self._give_up(label, job_id)
                    raise
                if attempt == _ATTEMPTS or not is_passing:
                    # The job stays written down, for an earlier sending may have gone through.
                    raise OutcomeUnknownError(
                        f"Whether job {job_id} has begun is not known; the next try finds out. {error}"
                    ) from error
                self.pause(_PAUSE * 2**attempt)
                attempt += 1
