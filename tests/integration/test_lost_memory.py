"""A task whose memory is another than Airflow's store, or is gone: Salesforce is asked before anything is repeated."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.dying import Point, dies, sent
from tests.integration.support import Task, creating, killed, killed_at_write, people, wait_for, writes
from tests.integration.test_unknown_outcomes import AT_ONCE, CREATES, names, plain

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

pytestmark = pytest.mark.usefixtures("salesforce_conn")

CLIENT = "airflow_provider_sfleads.salesforce.client:Client"


@pytest.fixture
def task() -> Task:
    """A task in an Airflow without a task state store."""
    start = datetime.now(UTC) - timedelta(minutes=1)
    return Task(context={"task_state_store": None, "dag_run": SimpleNamespace(start_date=start, run_id="manual")})


def test_a_retry_goes_on_without_a_store(emulator: EmulatorServer, tmp_path: Path, task: Task) -> None:
    """What the first try recorded is not sent again; a re-run of the finished task looks at everything anew."""
    emulator.add_fault("bad_request", nth=2, reply=[{"errorCode": "API_DISABLED_FOR_ORG", "message": "no"}], **CREATES)
    first = task.run(creating(people(600), tmp_path, api="collections", concurrency=1))
    assert first.counts == {"created": 200, "not_sent": 400}
    second = task.run(creating(people(600), tmp_path, api="collections", concurrency=1))
    assert (second.counts, second.full["attempts"]) == ({"created": 600}, 2)
    assert sum(request["records"] for request in writes(emulator)) == 600
    third = task.run(creating(people(600), tmp_path, api="collections", concurrency=1))
    assert (third.counts, third.full["attempts"]) == ({"unchanged": 600}, 1)


def test_a_killed_plain_insert_is_resumed_without_a_store(emulator: EmulatorServer, tmp_path: Path, task: Task) -> None:
    """No lead is made twice, and none is lost."""
    killed_at_write(plain(people(2_000), tmp_path), task, emulator, 3)
    ran = task.run(plain(people(2_000), tmp_path, late=AT_ONCE))
    assert ran.counts == {"created": 2_000}
    assert len(names(emulator)) == len(set(names(emulator))) == 2_000


@pytest.mark.parametrize("has_store", [True, False])
def test_where_all_records_are_gone_each_row_is_asked_for(
    emulator: EmulatorServer, tmp_path: Path, task: Task, *, has_store: bool
) -> None:
    """Somebody removed the results: what the integration user made since the run began is found by its values."""
    if has_store:
        task.context.pop("task_state_store")
    emulator.add_fault("status", nth=3, status=403, reply=[{"errorCode": "NO", "message": "no"}], **CREATES)
    first = task.run(plain(people(600), tmp_path))
    assert first.counts == {"created": 400, "not_sent": 200}
    shutil.rmtree(tmp_path)
    second = task.run(plain(people(600), tmp_path))
    assert second.counts == {"created": 400, "not_sent": 200}
    assert {row["reason"] for row in second.rows if row["action"] == "not_sent"} == {"outcome_unknown"}
    third = task.run(plain(people(600), tmp_path, late=AT_ONCE))
    assert third.counts == {"created": 600}
    assert len(names(emulator)) == len(set(names(emulator))) == 600


def test_a_first_try_asks_for_nothing(emulator: EmulatorServer, tmp_path: Path, task: Task) -> None:
    """There was nobody before it."""
    assert task.run(plain(people(3), tmp_path)).counts == {"created": 3}
    assert not [request for request in emulator.requests() if "query" in request["path"]]


def test_bulk_does_not_send_what_may_be_there(emulator: EmulatorServer, tmp_path: Path, task: Task) -> None:
    """It could not ask for each row, and says what can."""
    how: dict[str, Any] = {"api": "bulk"}
    emulator.add_fault("status", path="/jobs/ingest", status=403, reply=[{"errorCode": "NO", "message": "no"}])
    task.run(plain(people(3), tmp_path, **how))
    emulator.clear_faults()
    shutil.rmtree(tmp_path)
    ran = task.run(plain(people(3), tmp_path, **how))
    assert "api='collections'" in str(ran.error)
    assert emulator.leads() == []


@pytest.mark.parametrize("has_store", [True, False])
def test_a_cleared_task_whose_records_are_gone_asks(
    emulator: EmulatorServer, tmp_path: Path, task: Task, *, has_store: bool
) -> None:
    """It had finished, and Airflow gives the cleared run a new start: what the run made before is found."""
    if has_store:
        task.context.pop("task_state_store")
    assert task.run(plain(people(3), tmp_path)).counts == {"created": 3}
    shutil.rmtree(tmp_path)
    emulator.emulator.clock = lambda: time.time() + 3600
    now, before = datetime.now(UTC), datetime.now(UTC) - timedelta(minutes=1)
    task.context["dag_run"] = SimpleNamespace(start_date=now + timedelta(hours=1), logical_date=None, run_after=before)
    assert task.run(plain(people(4), tmp_path, late=AT_ONCE)).counts == {"created": 4}
    assert names(emulator) == ["Last 0", "Last 1", "Last 2", "Last 3"]


def test_the_records_of_one_of_several_executions_are_gone(
    emulator: EmulatorServer, tmp_path: Path, task: Task
) -> None:
    """The others do not stand for it: what it made is asked for, from the first one's beginning on."""
    first = task.run(plain(people(3), tmp_path))
    assert task.run(plain(people(2), tmp_path)).counts == {"unchanged": 2}
    shutil.rmtree(first.folder)
    ran = task.run(plain(people(3), tmp_path, late=AT_ONCE))
    assert ran.counts == {"created": 3}
    assert names(emulator) == ["Last 0", "Last 1", "Last 2"]
    assert task.run(plain(people(3), tmp_path)).counts == {"unchanged": 3}


def killed_with_a_job_queued(
    emulator: EmulatorServer, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run a try that is killed once its job stands in the queue, where it stays."""
    emulator.change_settings(bulk_delay=3600.0)
    dies(monkeypatch, Point(at=f"{CLIENT}.send", which=sent("PATCH", body={"state": "UploadComplete"})))
    killed(plain(people(3), tmp_path, api="bulk"), task)


@pytest.mark.parametrize("is_over", [True, False])
def test_bulk_whose_records_are_gone_goes_on_by_rows(
    emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_over: bool
) -> None:
    """As its error advises; a job that still runs is aborted first, lest it creates what was not found."""
    task = Task()
    killed_with_a_job_queued(emulator, task, tmp_path, monkeypatch)
    if is_over:
        emulator.finish_jobs()
        assert wait_for(emulator.leads)
    shutil.rmtree(tmp_path)
    for _ in range(2):
        assert "api='collections'" in str(task.run(plain(people(3), tmp_path, api="bulk")).error)
    assert [job["state"] for job in emulator.jobs()] == ["JobComplete" if is_over else "Aborted"]
    ran = task.run(plain(people(3), tmp_path, late=AT_ONCE))
    assert ran.counts == {"created": 3}
    assert (ran.full["api"], ran.full["job_ids"]) == ("none" if is_over else "collections", [])
    assert names(emulator) == ["Last 0", "Last 1", "Last 2"]


def test_rows_of_a_job_that_salesforce_refuses_to_abort_are_not_asked_for(
    emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their leads are not there yet, and come once the job has its turn: the try fails, and the next one goes on."""
    task = Task()
    killed_with_a_job_queued(emulator, task, tmp_path, monkeypatch)
    shutil.rmtree(tmp_path)
    said = [{"errorCode": "INSUFFICIENT_ACCESS", "message": "You may not abort this job."}]
    emulator.add_fault("status", method="PATCH", path="/jobs/ingest/", status=403, reply=said)
    ran = task.run(plain(people(3), tmp_path, late=AT_ONCE))
    assert "cannot be aborted just now" in str(ran.error)
    emulator.clear_faults()
    emulator.finish_jobs()
    assert wait_for(emulator.leads)
    assert task.run(plain(people(3), tmp_path, late=AT_ONCE)).counts == {"created": 3}
    assert names(emulator) == ["Last 0", "Last 1", "Last 2"]


def test_a_first_try_that_could_not_log_in_has_sent_nothing(
    emulator: EmulatorServer, tmp_path: Path, task: Task
) -> None:
    """Its retry has nothing to ask for, though there is no store."""
    emulator.change_settings(client_secret="another")
    assert task.run(plain(people(3), tmp_path)).report is None
    emulator.change_settings(client_secret="emulator-secret")
    assert task.run(plain(people(3), tmp_path)).counts == {"created": 3}


def test_what_one_execution_lacks_the_next_one_lacks_too(emulator: EmulatorServer, tmp_path: Path) -> None:
    """The rows were rejected in between, so nobody asked for them."""
    task = Task()
    assert task.run(plain(people(3), tmp_path)).counts == {"created": 3}
    shutil.rmtree(tmp_path)
    assert task.run(plain(people(3, last=None), tmp_path, max_rejects=3)).counts == {"rejected": 3}
    assert task.run(plain(people(3), tmp_path)).counts == {"created": 3}
    assert len(names(emulator)) == 3


def test_a_bulk_load_whose_entry_is_gone_is_not_sent_again(
    emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the store knows the job; what is staged says that there may be one."""
    task = Task()
    dies(monkeypatch, Point(at=f"{CLIENT}.send", which=sent("PATCH", body={"state": "UploadComplete"})))
    killed(plain(people(3), tmp_path, api="bulk"), task)
    emulator.finish_jobs()
    task.store.values.clear()
    assert "api='collections'" in str(task.run(plain(people(3), tmp_path, api="bulk")).error)
    assert task.run(plain(people(3), tmp_path)).counts == {"created": 3}
    assert len(names(emulator)) == 3


@pytest.mark.parametrize("keyed", [True, False])
def test_a_bulk_load_whose_staged_rows_are_gone(
    emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, keyed: bool
) -> None:
    """The job ran on: with a unique key its rows are sent again, which is harmless; without, each row is looked for."""
    task = Task()
    how: dict[str, Any] = {"api": "bulk", "external_id_field": "External_Id__c" if keyed else None}
    dies(monkeypatch, Point(at=f"{CLIENT}.send", which=sent("PATCH", body={"state": "UploadComplete"})))
    killed(plain(people(3), tmp_path, **how), task)
    emulator.finish_jobs()
    for staging in tmp_path.rglob("_staging"):
        shutil.rmtree(staging)
    ran = task.run(plain(people(3), tmp_path, **how))
    if not keyed:
        assert "api='collections'" in str(ran.error)
        ran = task.run(plain(people(3), tmp_path))
    assert ran.counts == {"created": 3}
    assert len(names(emulator)) == 3
