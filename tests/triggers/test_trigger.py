"""The trigger: its arguments, its event, and what it does when it is killed."""

from __future__ import annotations

import asyncio
import importlib
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.triggers.bulk import SalesforceBulkJobTrigger
from tests.salesforce.stub import EXPIRED, Got, Say, refused

if TYPE_CHECKING:
    from tests.salesforce.stub import Stub

ONE, TWO = "7505g00000000001AA", "7505g00000000002AA"


def job(state: str, **more: object) -> Say:
    """A job as Salesforce describes it."""
    return Say(200, {"id": ONE, "operation": "insert", "state": state, **more})


def made(*job_ids: str, **more: Any) -> SalesforceBulkJobTrigger:
    """A trigger for jobs that began just now."""
    return SalesforceBulkJobTrigger(salesforce_conn_id="sf", job_ids=job_ids or (ONE,), started_at=time.time(), **more)


def events(trigger: SalesforceBulkJobTrigger) -> list[Any]:
    """All that it yields."""

    async def collect() -> list[Any]:
        return [event.payload async for event in trigger.run()]

    return asyncio.run(collect())


def test_its_arguments_make_it_again_and_hold_no_secret(stub: Stub) -> None:
    """What is stored is JSON: ids, a time and a switch."""
    path, arguments = made(ONE, TWO, abort_on_kill=False).serialize()
    text = json.dumps(arguments)
    assert "the-secret" not in text
    assert stub.url not in text
    module, _, name = path.rpartition(".")
    again = getattr(importlib.import_module(module), name)(**json.loads(text))
    assert again.serialize() == (path, arguments)
    assert set(arguments) == {"salesforce_conn_id", "job_ids", "started_at", "abort_on_kill", "queued_until"}


def test_a_trigger_that_an_older_version_has_stored_is_made_again() -> None:
    """It lets its jobs stand in the queue for as long as they have to."""
    path, arguments = made(ONE).serialize()
    del arguments["queued_until"]
    again = SalesforceBulkJobTrigger(**arguments)
    assert again.serialize() == (path, arguments | {"queued_until": {}})


def test_a_job_that_stands_in_the_queue_for_too_long_is_told(stub: Stub) -> None:
    """At its time and not before, with all requests; the other job has begun, and a third may wait for ever.

    All three are asked about once more at that time, unless the first look took until then.
    """
    stub.script = lambda got: job("InProgress" if TWO in got.path else "UploadComplete")
    until = time.time() + 0.3
    (event,) = events(made(TWO, ONE, "7503", queued_until={ONE: until, TWO: until - 60}))
    assert until <= time.time() < until + 60
    assert (event["status"], event["message"]) == ("queued", None)
    assert [found["state"] for found in event["jobs"]] == ["InProgress", "UploadComplete", "UploadComplete"]
    assert event["api_calls"] == len(stub.requests)
    assert len(stub.requests) in (3, 6)


def test_one_event_tells_how_all_jobs_ended(stub: Stub) -> None:
    """In the order asked for, with counts of rows and of requests."""
    answers = {
        ONE: job("JobComplete", numberRecordsProcessed=5, numberRecordsFailed=2),
        TWO: job("Failed", errorMessage="InvalidBatch : x"),
    }
    stub.script = lambda got: answers[got.path.rpartition("/")[2]]
    counts = {"processed": 5, "failed": 2, "error": None}
    assert events(made(ONE, TWO)) == [
        {
            "status": "finished",
            "jobs": [
                {"id": ONE, "state": "JobComplete", **counts},
                {"id": TWO, "state": "Failed", "processed": 0, "failed": 0, "error": "InvalidBatch : x"},
            ],
            "api_calls": 2,
            "token_requests": 1,
            "message": None,
        }
    ]


def test_a_deleted_job_does_not_hold_up_the_others(stub: Stub) -> None:
    """It is told as deleted."""
    stub.script = lambda got: refused("NOT_FOUND", "gone", 404) if ONE in got.path else job("Aborted")
    (event,) = events(made(ONE, TWO))
    assert (event["status"], [found["state"] for found in event["jobs"]]) == ("finished", ["Deleted", "Aborted"])


def test_a_token_that_expires_meanwhile_is_renewed(stub: Stub) -> None:
    """One token for all polls, and one more when it is refused."""
    answers = [job("InProgress"), EXPIRED, job("JobComplete")]
    stub.script = lambda got: answers[got.number - 1]
    (event,) = events(made())
    assert (event["status"], event["api_calls"], event["token_requests"]) == ("finished", 3, 2)


def test_a_secret_that_is_wrong_is_an_error_event(stub: Stub) -> None:
    """The task learns why, and the secret is not told."""
    body = {"error": "invalid_client", "error_description": "invalid client credentials"}
    stub.token_script = lambda _got: Say(400, body)
    (event,) = events(made())
    assert event["status"] == "error"
    assert "invalid_client" in event["message"]
    assert "the-secret" not in json.dumps(event)
    assert event["jobs"] == [{"id": ONE, "state": "", "processed": 0, "failed": 0, "error": None}]


def test_a_connection_that_is_not_there_is_an_error_event() -> None:
    """It says what to make."""
    trigger = SalesforceBulkJobTrigger(salesforce_conn_id="nowhere", job_ids=[ONE], started_at=0.0)
    (event,) = events(trigger)
    assert (event["status"], event["api_calls"]) == ("error", 0)
    assert "no Airflow connection 'nowhere'" in event["message"]


def test_a_job_that_is_over_at_once_is_told_once_airflow_knows_that_the_worker_is_gone(
    stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier event would fail the task: see the constant."""
    monkeypatch.setattr("airflow_provider_sfleads.triggers.bulk._HANDOVER", 0.4)
    stub.script = lambda _got: job("JobComplete")
    started = time.monotonic()
    (event,) = events(made())
    assert event["status"] == "finished"
    assert time.monotonic() - started >= 0.4

    monkeypatch.setattr("airflow_provider_sfleads.triggers.bulk._HANDOVER", 0.2)
    started = time.monotonic()
    (event,) = events(SalesforceBulkJobTrigger(salesforce_conn_id="nowhere", job_ids=[ONE], started_at=0.0))
    assert event["status"] == "error"
    assert time.monotonic() - started >= 0.2


def killed(stub: Stub, trigger: SalesforceBulkJobTrigger, *, polls: int) -> list[Got]:
    """Cancel a running trigger after some polls, as the triggerer does; return the requests to change a job."""

    async def act() -> None:
        async def run() -> None:
            async for _ in trigger.run():
                pass

        task = asyncio.create_task(run())
        while len(stub.requests) < polls:  # noqa: ASYNC110 - the stub lives in threads
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await trigger.on_kill()
        await trigger.cleanup()

    asyncio.run(act())
    return [got for got in stub.requests if got.method != "GET"]


def test_killing_it_aborts_what_is_not_over(stub: Stub) -> None:
    """The job that has ended is left alone."""
    stub.script = lambda got: job("JobComplete" if ONE in got.path else "InProgress")
    aborted = killed(stub, made(ONE, TWO), polls=2)
    assert [(got.method, got.path.rpartition("/")[2], got.body) for got in aborted] == [
        ("PATCH", TWO, b'{"state":"Aborted"}')
    ]


@pytest.mark.parametrize("state", ["JobComplete", "InProgress"])
def test_a_job_that_cannot_be_aborted_does_not_keep_the_others(
    stub: Stub, caplog: pytest.LogCaptureFixture, state: str
) -> None:
    """It may have ended just before, or go on; the log says which, and the rest is aborted."""
    refusals: list[Got] = []

    def answer(got: Got) -> Say:
        if got.method == "GET":
            return job(state if refusals and ONE in got.path else "InProgress")
        if ONE not in got.path:
            return job("Aborted")
        refusals.append(got)
        return refused("INVALIDJOBSTATE", "Not now")

    stub.script = answer
    caplog.set_level("INFO")
    assert len(killed(stub, made(ONE, TWO), polls=2)) == 2
    said = "is over already" if state == "JobComplete" else "is not aborted, and may go on"
    assert f"Job {ONE} {said}" in caplog.text
    assert f"Job {TWO} is aborted" in caplog.text


def test_whoever_does_not_own_the_job_leaves_it_alone(stub: Stub) -> None:
    """A sensor that is killed aborts nothing."""
    stub.script = lambda _got: job("InProgress")
    assert killed(stub, made(abort_on_kill=False), polls=1) == []


def test_the_end_of_a_triggerer_aborts_nothing(stub: Stub) -> None:
    """Only on_kill does: a restart must not end the job."""
    stub.script = lambda _got: job("InProgress")
    trigger = made()

    async def act() -> None:
        async def run() -> None:
            async for _ in trigger.run():
                pass

        task = asyncio.create_task(run())
        while not stub.requests:  # noqa: ASYNC110 - the stub lives in threads
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await trigger.cleanup()

    asyncio.run(act())
    assert {got.method for got in stub.requests} == {"GET"}
