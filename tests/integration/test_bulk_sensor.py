"""The job sensor in Airflow's task runner, against the emulator, in all its modes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG

from airflow_provider_sfleads.hooks.salesforce import SalesforceLeadsHook
from airflow_provider_sfleads.salesforce.ingest_jobs import JobSpec, close_job, create_job, job_of, upload
from airflow_provider_sfleads.sensors.bulk import SalesforceBulkJobSensor

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

    from airflow_provider_sfleads.emulator import EmulatorServer
    from tests.conftest import RunDag

MODES = pytest.mark.parametrize(
    "mode", [{"mode": "poke"}, {"mode": "reschedule"}, {"deferrable": True}], ids=["poke", "reschedule", "deferred"]
)
StartJob = Callable[[str], str]


@pytest.fixture
def start_job(salesforce_conn: str, tmp_path: Path) -> StartJob:
    """Starts an insert of the rows given as CSV, and returns the job's id."""

    def start(rows: str) -> str:
        hook = SalesforceLeadsHook(salesforce_conn)
        path = tmp_path / "rows.csv"
        path.write_text(rows)
        call = create_job(JobSpec(operation="insert"))
        job_id = job_of(call, hook.send(call), conn_id=salesforce_conn).id
        for step in (upload(job_id, path), close_job(job_id)):
            assert hook.send(step).taken
        return job_id

    return start


@contextmanager
def finishing(emulator: EmulatorServer, polls: int) -> Iterator[None]:
    """End all jobs once they were asked about so often."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            if sum(asked(emulator).values()) >= polls:
                emulator.finish_jobs()
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def asked(emulator: EmulatorServer) -> dict[str, int]:
    """How often each job was asked about, by path."""
    found: dict[str, int] = {}
    for request in emulator.requests():
        if request["method"] == "GET" and "/jobs/ingest/" in request["path"]:
            found[request["path"]] = found.get(request["path"], 0) + 1
    return found


def waiting(run_dag: RunDag, job_id: str, **more: Any) -> DagRun:
    """Run a Dag of one sensor."""
    with DAG(f"bulk_sensor_{time.time_ns()}", schedule=None) as dag:
        SalesforceBulkJobSensor(task_id="wait", job_id=job_id, **{"poke_interval": 0.2, "deferrable": False, **more})
    return run_dag(dag)


def result(run: DagRun) -> object:
    """What the sensor returned."""
    (instance,) = run.get_task_instances()
    found: object = instance.xcom_pull(task_ids="wait")
    return found


@MODES
def test_it_waits_for_the_job_and_returns_its_counts(
    emulator: EmulatorServer, run_dag: RunDag, start_job: StartJob, mode: dict[str, Any]
) -> None:
    """One good row and one without a name, in a job that takes its time."""
    emulator.change_settings(bulk_delay=3600.0)
    job_id = start_job("LastName,Company\nSmith,Acme\n,Acme\n")
    with finishing(emulator, polls=2):
        run = waiting(run_dag, job_id, **mode)
    assert run.state == "success"
    assert result(run) == {"job_id": job_id, "state": "JobComplete", "processed": 2, "failed": 1}
    assert [lead["LastName"] for lead in emulator.leads()] == ["Smith"]


@MODES
def test_a_failed_job_fails_the_task_for_good(
    emulator: EmulatorServer, run_dag: RunDag, start_job: StartJob, mode: dict[str, Any]
) -> None:
    """No try is left to it, for another would find the same."""
    emulator.change_settings(bulk_delay=3600.0)
    job_id = start_job("LastName,Company,Nope__c\nSmith,Acme,x\n")
    with finishing(emulator, polls=2):
        run = waiting(run_dag, job_id, retries=3, **mode)
    (instance,) = run.get_task_instances()
    assert (run.state, instance.state, instance.try_number) == ("failed", "failed", 1)


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_a_sensor_that_times_out_leaves_the_job_alone(
    emulator: EmulatorServer, run_dag: RunDag, start_job: StartJob, mode: str
) -> None:
    """The task fails, the job goes on: it belongs to somebody else. Dag.test keeps no time over a deferral."""
    emulator.change_settings(bulk_delay=3600.0)
    job_id = start_job("LastName,Company\nSmith,Acme\n")
    run = waiting(run_dag, job_id, timeout=0.5, mode=mode)
    assert run.state == "failed"
    assert [job["state"] for job in emulator.jobs()] == ["UploadComplete"]
