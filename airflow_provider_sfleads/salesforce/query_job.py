"""One query job from its creation to its result files, so that none is left behind."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_sfleads.exceptions import RequestRefusedError, SalesforceLeadsError
from airflow_provider_sfleads.salesforce.ingest_jobs import (
    JobInfo,
    abort_query,
    create_query,
    delete_query,
    get_query,
    job_of,
    next_locator,
    next_poll,
    query_results,
)
from airflow_provider_sfleads.salesforce.paging import Trail, expect
from airflow_provider_sfleads.salesforce.wire import Call, Reply, Send

#: Rows to a page of results: a page whose stream is cut is read anew from its start.
PAGE_ROWS = 500_000

log = logging.getLogger(__name__)


class Stopped(Exception):  # noqa: N818 - no error: the run is to end
    """The run was asked to end while Salesforce was waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryJobs:
    """Runs query jobs.

    :param send: the transport.
    :param download: the transport for results that go into a file.
    :param conn_id: the connection that errors name.
    :param pause: waits so many seconds, or shorter where the run is to end.
    :param stopped: whether the run is to end.
    :param page_rows: rows to a page of results.
    """

    send: Send
    download: Callable[[Call, Path], Reply]
    conn_id: str
    pause: Callable[[float], object]
    stopped: Callable[[], bool]
    page_rows: int = PAGE_ROWS

    def run(self, soql: str) -> JobInfo | None:
        """Run a query; the job is done then.

        :return: ``None`` where Salesforce would not run the job, or it failed: then there are other ways to read.
        :raises Stopped: where the run is to end; the job is aborted.
        """
        try:
            job = self._ask(create_query(soql))
        except RequestRefusedError as error:
            log.warning("No query job (%s); the leads are read by calls instead.", ", ".join(error.codes) or "refused")
            return None
        try:
            job = self._finished(job)
        except BaseException:
            self._drop(abort_query(job.id))
            raise
        if job.succeeded:
            return job
        log.warning("Query job %s ended as %s; the leads are read by calls instead.", job.id, job.state)
        self._drop(delete_query(job.id))
        return None

    def pages(self, job: JobInfo, path: Path) -> Generator[None, int, None]:
        """Write one page of a job's results after the other to a file, and delete the job in the end.

        The generator is sent how many rows the page had, and goes on to the next one.

        :param path: where the page lies; it is removed in the end.
        :raises Stopped: where the run is to end.
        :raises ServiceUnavailableError: where the pages have no end, or a page is larger than was asked for.
        """
        locator: str | None = None
        trail = Trail("GET jobs/query/.../results", self.conn_id)
        try:
            while True:
                if self.stopped():
                    raise Stopped
                call = query_results(job.id, locator, self.page_rows)
                reply = expect(call, self.download(call, path), conn_id=self.conn_id)
                count = yield
                if count > self.page_rows:
                    raise trail.broken("has more rows on a page than were asked for")
                following = next_locator(reply)
                if following is None:
                    return
                locator = trail.follow(following, count)
        finally:
            path.unlink(missing_ok=True)
            self._drop(delete_query(job.id))

    def _ask(self, call: Call) -> JobInfo:
        return job_of(call, self.send(call), conn_id=self.conn_id)

    def _finished(self, job: JobInfo) -> JobInfo:
        waited = 0.0
        while not job.is_over:
            if self.stopped():
                raise Stopped
            seconds = next_poll(waited)
            self.pause(seconds)
            waited += seconds
            job = self._ask(get_query(job.id))
        log.info("Query job %s ended as %s: %d leads.", job.id, job.state, job.processed)
        return job

    def _drop(self, call: Call) -> None:
        """Leave no job behind; one that stays is deleted by Salesforce after seven days."""
        try:
            self.send(call)
        except SalesforceLeadsError as error:
            log.info("A query job could not be dropped: %s", error)
