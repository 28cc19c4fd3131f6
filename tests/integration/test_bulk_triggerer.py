"""Deferral in a real Airflow: a slot is free while jobs run, a triggerer may die, and what nobody awaits is aborted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from airflow_provider_sfleads.operators.links import PAGE
from tests.integration.real_airflow import RealAirflow, Run, real_airflow
from tests.integration.support import people

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

DAGS = Path(__file__).with_name("airflow_dags")
CONNECTION = "salesforce_leads_default"
SECRET = "a-secret-that-nobody-else-has"
ROWS = 3_000
# Rows a second: a job takes half a minute, if it is not held up.
RATE = 100.0
SETTINGS = {
    # A triggerer that is silent for so long is taken for dead, and its triggers go to another one.
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "5",
    "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "1",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",
}

pytestmark = [pytest.mark.usefixtures("salesforce"), pytest.mark.whole_way]


@pytest.fixture(scope="module")
def airflow(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAirflow]:
    """One Airflow for all tests; it has a single worker slot."""
    folder = tmp_path_factory.mktemp("airflow")
    dags = Path(shutil.copytree(DAGS, folder / "dags", ignore=shutil.ignore_patterns("__pycache__")))
    (folder / "people.jsonl").write_text("\n".join(map(json.dumps, people(ROWS))))
    settings = SETTINGS | {"AIRFLOW_VAR_FOLDER": str(folder)}
    with real_airflow(postgres_url, folder, dags, settings) as running:
        running.call("POST", "/connections", _connection("http://127.0.0.1:1"))
        running.wait_for(lambda: len(running.call("GET", "/dags")["dags"]) == 4, "four Dags are read")
        yield running


def _connection(url: str) -> dict[str, Any]:
    return {
        "connection_id": CONNECTION,
        "conn_type": "salesforce_leads",
        "host": url,
        "login": "emulator-key",
        "password": SECRET,
    }


@pytest.fixture
def salesforce(airflow: RealAirflow, emulator: EmulatorServer) -> EmulatorServer:
    """A fresh org to which Airflow's connection leads, and which takes its time for a job."""
    emulator.change_settings(client_secret=SECRET, bulk_rate=RATE)
    airflow.call("PATCH", f"/connections/{CONNECTION}", _connection(emulator.url))
    return emulator


def defer(airflow: RealAirflow, salesforce: EmulatorServer, dag_id: str) -> Run:
    """Start a run, and come back when it is deferred and its job is held up in mid-work."""
    run = airflow.trigger(dag_id)
    run.wait_for("deferred")
    airflow.wait_for(lambda: job_of(salesforce)["processed"], "rows are processed")
    # However long it takes a triggerer to come: the job is not over before.
    salesforce.change_settings(bulk_rate=1.0)
    return run


def defer_to_triggerer(airflow: RealAirflow, salesforce: EmulatorServer) -> Run:
    """Start a run, and come back when a triggerer has asked for its job."""
    run = defer(airflow, salesforce, "unhurried")
    # The worker asked for the first token, the triggerer for the second.
    airflow.wait_for(lambda: salesforce.stats()["token_requests"] == 2, "a triggerer asks")
    assert job_of(salesforce)["state"] == "InProgress"
    return run


def job_of(salesforce: EmulatorServer) -> dict[str, Any]:
    """The one job."""
    (job,) = salesforce.jobs()
    return job


def polls(salesforce: EmulatorServer) -> int:
    """How often somebody has asked how the job stands."""
    return sum(r["method"] == "GET" and r["path"].endswith(job_of(salesforce)["id"]) for r in salesforce.requests())


def check_links(run: Run, salesforce: EmulatorServer) -> None:
    """All three are there: to Airflow's page, to the one job and to the leads, and none holds a secret."""
    links = run.links()
    results = urlsplit(links["Results"] or "")
    said = {"dag_id": run.dag_id, "run_id": run.run_id, "task_id": "create", "map_index": "-1"}
    assert results.path == f"/{PAGE}"
    assert said.items() <= dict(parse_qsl(results.query)).items()
    job, leads = (requests.get(links[f"{name} in Salesforce"] or "", timeout=10) for name in ("Bulk job", "Leads"))
    assert f"Bulk job {job_of(salesforce)['id']}" in job.text
    assert leads.ok
    assert SECRET not in str(links)
    assert not [token for token in salesforce.tokens_issued() if token in str(links)]


def check_success(run: Run, salesforce: EmulatorServer, *, attempts: int = 1) -> dict[str, Any]:
    """Every row is a lead, once, and the report says so."""
    run.wait_for("success")
    report = run.report()
    names = [lead["LastName"] for lead in salesforce.leads()]
    assert (len(names), set(names)) == (ROWS, {row["last"] for row in people(ROWS)})
    assert (report["read"], report["created"], report["rejected"], report["not_sent"]) == (ROWS, ROWS, 0, 0)
    assert report["attempts"] == attempts
    assert set(report["job_ids"]) <= {job["id"] for job in salesforce.jobs()}
    return report


def test_a_deferred_task_holds_no_slot_and_its_trigger_no_secret(
    airflow: RealAirflow, salesforce: EmulatorServer
) -> None:
    """There is one slot in all, and another task runs in it."""
    run = defer_to_triggerer(airflow, salesforce)

    airflow.trigger("bystander", "stand_by").wait_for("success")
    assert run.task()["state"] == "deferred"
    pool = airflow.call("GET", "/pools/default_pool")
    assert (pool["occupied_slots"], pool["deferred_slots"]) == (0, 1)

    (row,) = airflow.triggers()
    (token,) = salesforce.emulator.tokens._live
    assert job_of(salesforce)["id"] in row
    assert SECRET not in row
    assert token not in row

    salesforce.finish_jobs()
    report = check_success(run, salesforce)
    stats = salesforce.stats()
    assert (report["api_calls"], report["token_requests"]) == (stats["api_used"], stats["token_requests"])


def test_a_deferred_task_links_to_its_job(airflow: RealAirflow, salesforce: EmulatorServer) -> None:
    """While the job runs, and when it is over."""
    run = defer(airflow, salesforce, "unhurried")
    check_links(run, salesforce)

    salesforce.finish_jobs()
    run.wait_for("success")
    check_links(run, salesforce)


def test_a_triggerer_that_is_killed_costs_time_and_nothing_else(
    airflow: RealAirflow, salesforce: EmulatorServer
) -> None:
    """Another one takes the wait over in mid-job, under another name; the job is submitted once."""
    run = defer_to_triggerer(airflow, salesforce)
    first = run.task()["trigger"]["triggerer_id"]
    airflow.kill("triggerer")
    asked = polls(salesforce)

    airflow.start("triggerer")
    airflow.wait_for(lambda: polls(salesforce) > asked, "another triggerer asks")
    task, job = run.task(), job_of(salesforce)
    assert (task["state"], job["state"]) == ("deferred", "InProgress")
    assert task["trigger"]["triggerer_id"] not in (first, None)

    salesforce.finish_jobs()
    assert check_success(run, salesforce)["job_ids"] == [job["id"]]


def test_the_job_of_a_deferred_task_that_is_marked_failed_is_aborted(
    airflow: RealAirflow, salesforce: EmulatorServer
) -> None:
    """By the trigger; cleared, the task goes on where the job was."""
    run = defer_to_triggerer(airflow, salesforce)

    run.mark_failed()
    airflow.wait_for(lambda: job_of(salesforce)["state"] == "Aborted", "the job is aborted")
    assert run.task()["state"] == "failed"
    assert 0 < len(salesforce.leads()) == job_of(salesforce)["processed"] < ROWS

    salesforce.change_settings(bulk_rate=None)
    run.clear()
    check_success(run, salesforce, attempts=2)


def test_the_job_of_a_deferral_that_times_out_is_aborted_and_a_retry_sends_the_rest(
    airflow: RealAirflow, salesforce: EmulatorServer
) -> None:
    """By the operator: Airflow tells neither it nor the trigger to stop."""
    run = defer(airflow, salesforce, "hurried")

    airflow.wait_for(lambda: salesforce.jobs()[0]["state"] == "Aborted", "the job is aborted")
    assert 0 < salesforce.jobs()[0]["processed"] < ROWS

    salesforce.change_settings(bulk_rate=None)
    check_success(run, salesforce, attempts=2)


def test_a_worker_that_is_killed_leaves_its_links(airflow: RealAirflow, salesforce: EmulatorServer) -> None:
    """The scheduler dies with it, as where their machine does: nobody but the task has said what they are."""
    run = airflow.trigger("waiting")
    airflow.wait_for(salesforce.jobs, "there is a job")
    salesforce.change_settings(bulk_rate=1.0)
    airflow.wait_for(lambda: polls(salesforce), "the worker waits for it")

    airflow.kill("scheduler")
    assert run.task()["state"] == "running"
    check_links(run, salesforce)
