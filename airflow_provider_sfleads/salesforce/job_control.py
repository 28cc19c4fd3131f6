"""One ingest job from its creation to its result files, so that none runs twice and none is left open."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from airflow_provider_sfleads.exceptions import (
    ApiLimitError,
    BulkJobError,
    ConnectionFailedError,
    DisownedError,
    ObjectAccessError,
    OutcomeUnknownError,
    SalesforceLeadsError,
    ServiceUnavailableError,
)
from airflow_provider_sfleads.salesforce import ingest_jobs
from airflow_provider_sfleads.salesforce.error_codes import ErrorCode, look_up
from airflow_provider_sfleads.salesforce.ingest_jobs import JobInfo, JobSpec, JobState, ResultKind
from airflow_provider_sfleads.salesforce.paging import Trail, expect
from airflow_provider_sfleads.salesforce.replies import refusal, used_up
from airflow_provider_sfleads.salesforce.wire import Call, Reply, Send, answered

log = logging.getLogger(__name__)

Download = Callable[[Call, Path], Reply]
"""Sends a call and writes what it answers into a file, whole or not at all."""

# Jobs made for one load before the run gives up; all but the last are aborted with nothing processed.
_ATTEMPTS = 3
# Seconds, doubled from one to the next.
_PAUSE = 0.5
# Salesforce stamps whole seconds.
_CLOCK = timedelta(seconds=2)
_PASSING = (ServiceUnavailableError, ConnectionFailedError, OutcomeUnknownError)
_LEFT_OVER = (
    "Jobs %s are open, and no try of this task has recorded them. They may be left over from a create-job call whose "
    "answer was lost, or belong to another task of this user. They are left alone: without rows they do no harm, and "
    "Salesforce removes them; see Setup > Bulk Data Load Jobs."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFiles:
    """The result files of a job that is over; ``None`` where its counters say that there is nothing in one."""

    successful: Path | None
    failed: Path | None
    unprocessed: Path | None


def look(send: Send, job_id: str, *, conn_id: str) -> JobInfo | None:
    """Return how a job stands; ``None`` where it is deleted.

    :raises SalesforceLeadsError: where Salesforce does not say.
    """
    call = ingest_jobs.get_job(job_id)
    return ingest_jobs.found_job(call, send(call), conn_id=conn_id)


def abort(send: Send, job_id: str, *, conn_id: str) -> bool:
    """Abort a job; whether it was aborted: one that is over, or deleted, is left as it is.

    What it has written stays written.

    :raises SalesforceLeadsError: where it may go on.
    """
    return answered(send, ingest_jobs.abort(job_id, conn_id=conn_id))


def try_to_abort(send: Send, job_id: str, *, conn_id: str) -> bool:
    """Abort a job, unless it is over; a job that may go on is named in the log."""
    try:
        abort(send, job_id, conn_id=conn_id)
    except SalesforceLeadsError as error:
        log.warning("Job %s is not aborted, and may go on: %s", job_id, error)
        return False
    return True


@dataclass(slots=True, kw_only=True)
class Jobs:
    """Makes jobs, and asks for them.

    :param user_id: the integration user.
    :param note: writes down, durably, which job carries a load (``None``: none does any more).
    :param verify: raises where the jobs that are written down belong to a newer try.
    :param pause: waits some seconds before a job is made anew.
    :param now: Salesforce's clock.
    """

    send: Send
    download: Download
    conn_id: str
    user_id: str | None
    note: Callable[[str, str | None], None]
    verify: Callable[[], object]
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
        """Return how a job stands; ``None`` where it is deleted."""
        return look(self.send, job_id, conn_id=self.conn_id)

    def find(self, job_id: str, folder: Path) -> tuple[JobInfo | None, bool]:
        """Return how the job of an earlier try stands, and whether nothing of it was processed, nor ever will be.

        One that is still open is aborted: whether its upload is whole is not known. It is looked at again afterwards,
        since the word to begin may only just have come in.

        :param folder: for result files, which are removed again.
        :raises ServiceUnavailableError: where an open job cannot be aborted now.
        """
        job = self.look(job_id)
        if job is not None and job.state is JobState.ABORTED:
            return job, self._has_no_rows(job, folder)
        if job is None or job.state is not JobState.OPEN:
            return job, False
        job, is_untouched = self.withdraw(job_id)
        if job is not None and job.state is JobState.OPEN:
            raise ServiceUnavailableError(f"Job {job_id}, which an earlier try left open, could not be aborted.")
        return job, is_untouched

    def withdraw(self, job_id: str) -> tuple[JobInfo | None, bool]:
        """Abort a job that has not begun; how it stands then, and whether nothing of it was processed, nor will be."""
        self.abort(job_id)
        job = self.look(job_id)
        return job, job is not None and job.state is JobState.ABORTED and not job.processed

    def _has_no_rows(self, job: JobInfo, folder: Path) -> bool:
        """Return whether a job was aborted before it was given its rows.

        Each of them would be in one of its results.
        """
        return not job.processed and not any(self._has_results(job, kind, folder) for kind in reversed(ResultKind))

    def _has_results(self, job: JobInfo, kind: ResultKind, folder: Path) -> bool:
        path = self._fetched(job, kind, folder, 0)
        try:
            with path.open("rb") as file:
                return bool(file.readline() and file.readline())
        finally:
            path.unlink(missing_ok=True)

    def abort(self, job_id: str) -> bool:
        """Abort a job, and return whether it is over now, as :func:`try_to_abort` does.

        :raises DisownedError: where a newer try waits for it.
        """
        self.verify()
        return try_to_abort(self.send, job_id, conn_id=self.conn_id)

    def fetch(self, job: JobInfo, folder: Path, *, rows: int) -> ResultFiles:
        """Download what a job that is over says of its rows.

        :param folder: where the files go; the caller removes them.
        :param rows: rows that were uploaded.
        """
        # Counters are asked of a job only where it has processed every row: they lag in one that was aborted.
        all_counted = job.state is JobState.JOB_COMPLETE and job.processed >= rows

        def fetched(kind: ResultKind, *, has_rows: bool) -> Path | None:
            return self._fetched(job, kind, folder, rows) if has_rows else None

        return ResultFiles(
            successful=fetched(ResultKind.SUCCESSFUL, has_rows=not (all_counted and job.processed == job.failed)),
            failed=fetched(ResultKind.FAILED, has_rows=not (all_counted and job.failed == 0)),
            unprocessed=fetched(ResultKind.UNPROCESSED, has_rows=job.state is not JobState.JOB_COMPLETE),
        )

    def _fetched(self, job: JobInfo, kind: ResultKind, folder: Path, rows: int) -> Path:
        path = folder / f"{job.id}-{kind.value}.csv"
        call = ingest_jobs.results(job.id, kind, most=ingest_jobs.most_results(rows))
        expect(call, self.download(call, path), conn_id=self.conn_id)
        return path

    def _uploaded(self, label: str, spec: JobSpec, csv: Path) -> str:
        job_id = self._recorded(label, spec)
        try:
            call = ingest_jobs.upload(job_id, csv)
            expect(call, self.send(call), conn_id=self.conn_id)
        except DisownedError:
            # What is written down belongs to the try that reads it now.
            raise
        except BaseException:
            self._give_up(label, job_id)
            raise
        return job_id

    def _recorded(self, label: str, spec: JobSpec) -> str:
        """Create a job and write its id down; a job that cannot be written down is aborted: nobody else knows of it."""
        job_id: str | None = None
        try:
            job_id = self._create(spec)
            self.note(label, job_id)
        except BaseException:
            if job_id is not None:
                try_to_abort(self.send, job_id, conn_id=self.conn_id)
            raise
        return job_id

    def _give_up(self, label: str, job_id: str) -> None:
        """Abort a job that has not begun; where that fails it stays written down, for the next try to abort it."""
        if self.abort(job_id):
            self.note(label, None)

    def _create(self, spec: JobSpec) -> str:
        call = ingest_jobs.create_job(spec)
        began = self.now()
        try:
            reply = self.send(call)
        except OutcomeUnknownError:
            self.name_left_over({spec.operation}, since=began)
            raise
        job_id = ingest_jobs.job_of(call, reply, conn_id=self.conn_id).id
        self._mine.add(job_id)
        return job_id

    def name_left_over(self, operations: Collection[str], *, since: datetime, known: Collection[str] = ()) -> None:
        """Name the open jobs that nobody may know of; they are never touched: another task may just be making them.

        :param operations: what such a job does.
        :param since: when it was made, at the earliest, by Salesforce's clock.
        :param known: ids of jobs that are recorded.
        """
        known = {*known, *self._mine}
        try:
            found = [job.id for job in self._open_jobs(since) if job.operation in operations and job.id not in known]
        except SalesforceLeadsError as error:
            log.info("Whether a job was left over is not known: %s", error)
            return
        if found:
            log.warning(_LEFT_OVER, ", ".join(found))

    def _open_jobs(self, since: datetime) -> Iterator[JobInfo]:
        """Yield the integration user's open jobs of leads."""
        locator: str | None = None
        trail = Trail("GET jobs/ingest", self.conn_id)
        while True:
            call = ingest_jobs.list_jobs(locator)
            page, following = ingest_jobs.jobs_of(call, self.send(call), conn_id=self.conn_id)
            for job in page:
                is_own = job.created_by_id == self.user_id and job.sobject in ("Lead", None)
                is_new = job.created_at is not None and job.created_at >= since - _CLOCK
                if job.state is JobState.OPEN and is_own and is_new:
                    yield job
            if following is None:
                return
            locator = trail.follow(following, len(page))

    def _close(self, label: str, job_id: str) -> JobInfo:
        call = ingest_jobs.close_job(job_id)
        attempt = 1
        while True:
            try:
                reply = self.send(call)
                if reply.taken:
                    return ingest_jobs.job_of(call, reply, conn_id=self.conn_id)
                # Refused, because an earlier sending went through, or because the job is not as it should be.
                job = self.look(job_id)
                if job is not None and job.state is not JobState.OPEN:
                    return job
                raise refusal(call, reply, conn_id=self.conn_id)
            except DisownedError:
                raise
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


#: Errors that end a bulk load, and that every retry would meet again.
LASTING = (BulkJobError, ObjectAccessError)
_CODE = re.compile(r"\s*([A-Za-z][A-Za-z_]{2,99})\s*(?::|$)", re.ASCII)


def heals(message: str | None) -> bool:
    """Return whether a job that failed with this ``errorMessage`` may go through when it is made again.

    What nobody knows yet may.
    """
    return _entry(message).raises is not BulkJobError


def advice(message: str | None) -> str:
    """Say what to do about a job that failed with this ``errorMessage``; empty where there is nothing to say."""
    return _entry(message).advice


def unfinished(job: JobInfo, *, rows: int, conn_id: str) -> SalesforceLeadsError:
    """Make the error of a job that was not processed to its end: the rows that it left out were not written.

    A limit of Bulk API is an :class:`ApiLimitError`, as at a refused request. What cannot heal is a
    :class:`BulkJobError`, which no retry mends; anything else is worth one.

    :param rows: rows that were uploaded with it.
    """
    said = f": {job.error_message}" if job.error_message else ""
    what = f"Job {job.id} (connection {conn_id!r}) ended {job.state} after {job.processed:,} of {rows:,} rows{said}."
    entry = _entry(job.error_message)
    if job.state is JobState.FAILED and entry.raises is ApiLimitError:
        return used_up(f"job {job.id} (connection {conn_id!r})", job.error_message or "", entry)
    if job.state is JobState.FAILED and entry.raises is BulkJobError:
        return BulkJobError(f"{what} {entry.advice}".rstrip())
    return ServiceUnavailableError(f"{what} What it did not process is sent in the next try.")


def _entry(message: str | None) -> ErrorCode:
    found = _CODE.match(message or "")
    return look_up(found[1] if found else "", message or "")
