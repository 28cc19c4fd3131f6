"""How jobs are polled, without Airflow and without sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from airflow_provider_sfleads.exceptions import ApiLimitError, RequestRefusedError, ServiceUnavailableError
from airflow_provider_sfleads.salesforce.async_client import AsyncClient
from airflow_provider_sfleads.salesforce.wire import Call, Reply
from airflow_provider_sfleads.triggers.bulk import JobStatus, unfinished, wait_for_jobs

Answer = Reply | Exception


def job(state: str, processed: int = 0, failed: int = 0, **more: object) -> Reply:
    """A job as Salesforce describes it."""
    counts = {"numberRecordsProcessed": processed, "numberRecordsFailed": failed}
    return Reply(status=200, body={"id": "7505g0000000001AAA", "state": state, "operation": "insert", **counts, **more})


class Org:
    """Answers calls by a function of the job's id and of the time that has passed; time passes when one sleeps."""

    def __init__(self, answer: Callable[[str, float], Answer], started_at: float = 1000.0) -> None:
        self.answer = answer
        self.now = started_at
        self.started_at = started_at
        self.calls: list[tuple[str, float]] = []
        self.settings = SimpleNamespace(conn_id="sf")

    async def send(self, call: Call) -> Reply:
        """Answer."""
        job_id = call.path.rpartition("/")[2]
        self.calls.append((job_id, self.now - self.started_at))
        answer = self.answer(job_id, self.now - self.started_at)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        assert seconds > 0
        self.now += seconds

    def poll(self, *job_ids: str, started_at: float | None = None, queued: float | None = None) -> dict[str, JobStatus]:
        """Poll jobs to their end, or until they have stood in the queue for so many seconds."""
        began = self.started_at if started_at is None else started_at
        until = {} if queued is None else dict.fromkeys(job_ids, self.started_at + queued)
        jobs = {job_id: JobStatus(id=job_id) for job_id in job_ids}
        client = cast("AsyncClient", cast("Any", self))
        asyncio.run(
            wait_for_jobs(client, jobs, started_at=began, queued_until=until, sleep=self.sleep, now=lambda: self.now)
        )
        return jobs


def ends_after(seconds: float) -> Callable[[str, float], Answer]:
    """A job that runs so long."""
    return lambda _job, elapsed: job("JobComplete", 9, 1) if elapsed >= seconds else job("InProgress", 3)


def test_a_job_that_is_over_is_asked_about_once() -> None:
    """Its state and counts are what Salesforce says."""
    org = Org(ends_after(0))
    jobs = org.poll("7505g0000000001AAA")
    assert [*jobs.values()] == [JobStatus(id="7505g0000000001AAA", state="JobComplete", processed=9, failed=1)]
    assert (unfinished(jobs), len(org.calls)) == ((), 1)


def test_a_short_job_is_noticed_at_once() -> None:
    """A job of two seconds is known to be over half a second later."""
    org = Org(ends_after(2))
    org.poll("7505g0000000001AAA")
    assert org.calls[-1][1] <= 2.5


def test_a_job_of_an_hour_costs_at_most_eighty_polls() -> None:
    """Polls grow rarer."""
    org = Org(ends_after(3600))
    org.poll("7505g0000000001AAA")
    assert len(org.calls) <= 80


def test_a_restart_goes_on_in_the_same_rhythm() -> None:
    """Half an hour after a job began, a new poller does not begin with polls every half second."""
    org = Org(ends_after(1800))
    org.poll("7505g0000000001AAA", started_at=org.started_at - 1800)
    assert len(org.calls) <= 1800 / 75 + 1


def test_a_clock_that_runs_behind_does_no_harm() -> None:
    """A start in the future is now."""
    org = Org(ends_after(1))
    org.poll("7505g0000000001AAA", started_at=org.started_at + 100)
    assert len(org.calls) == 3


def test_only_what_is_not_over_is_asked_about_again() -> None:
    """Jobs end at different times, and each is left alone once it has."""
    ends = {"7505g0000000001AAA": 0.0, "7505g0000000002AAA": 0.6, "7505g0000000003AAA": 2.0}
    org = Org(lambda job_id, elapsed: job("Failed" if elapsed >= ends[job_id] else "InProgress"))
    assert [job.id for job in org.poll(*ends).values()] == list(ends)
    counts = [sum(1 for asked, _ in org.calls if asked == job_id) for job_id in ends]
    assert counts[0] == 1
    assert counts == sorted(counts)


def test_a_job_is_given_up_at_the_end_of_its_time_in_the_queue() -> None:
    """To the second, however rare the polls are by then; trouble that passes is no word on where it stands."""
    org = Org(lambda *_: job("UploadComplete"))
    jobs = org.poll("7505g0000000001AAA", queued=30.0)
    assert (unfinished(jobs), org.calls[-1][1]) == (("7505g0000000001AAA",), 30.0)

    org = Org(lambda _job, elapsed: ServiceUnavailableError("busy") if 20 < elapsed < 50 else job("UploadComplete"))
    assert unfinished(org.poll("7505g0000000001AAA", queued=30.0)) == ("7505g0000000001AAA",)
    assert 50 <= org.calls[-1][1] < 70


def test_a_job_that_has_begun_in_time_is_waited_for() -> None:
    """As long as it takes."""
    org = Org(
        lambda _job, elapsed: job("UploadComplete" if elapsed < 20 else "InProgress" if elapsed < 90 else "Failed")
    )
    assert (unfinished(org.poll("7505g0000000001AAA", queued=30.0)), org.calls[-1][1] >= 90) == ((), True)


def test_a_job_that_was_deleted_is_over() -> None:
    """Nobody waits for what is gone."""
    gone = Reply(status=404, body=[{"errorCode": "NOT_FOUND", "message": "gone"}])
    jobs = Org(lambda *_: gone).poll("7505g0000000001AAA")
    assert [*jobs.values()] == [JobStatus(id="7505g0000000001AAA", state="Deleted")]
    assert unfinished(jobs) == ()


def test_why_a_job_failed_is_kept() -> None:
    """The message of the job comes with it."""
    org = Org(lambda *_: job("Failed", errorMessage="InvalidBatch : Field name not found : Nope__c"))
    assert org.poll("7505g0000000001AAA")["7505g0000000001AAA"].error == "InvalidBatch : Field name not found : Nope__c"


@pytest.mark.parametrize("trouble", [ServiceUnavailableError("busy"), ApiLimitError("too many")])
def test_what_passes_is_ridden_out(trouble: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """A job goes on while Salesforce does not answer; the log says so."""
    org = Org(lambda _job, elapsed: trouble if elapsed < 2 else job("JobComplete"))
    assert org.poll("7505g0000000001AAA")["7505g0000000001AAA"].state == "JobComplete"
    assert str(trouble) in caplog.text


def test_what_does_not_pass_ends_it() -> None:
    """Waiting is no use where asking is not allowed."""
    org = Org(lambda *_: Reply(status=403, body=[{"errorCode": "INSUFFICIENT_ACCESS", "message": "no"}]))
    with pytest.raises(RequestRefusedError):
        org.poll("7505g0000000001AAA")


def test_the_log_tells_what_has_changed(caplog: pytest.LogCaptureFixture) -> None:
    """One line to a change, none to a poll without one."""
    caplog.set_level("INFO")
    Org(ends_after(30)).poll("7505g0000000001AAA")
    assert [record.getMessage() for record in caplog.records] == [
        "Job 7505g0000000001AAA: InProgress, 3 rows processed, 0 of them failed",
        "Job 7505g0000000001AAA: JobComplete, 9 rows processed, 1 of them failed",
    ]
