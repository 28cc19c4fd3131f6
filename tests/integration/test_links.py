"""The links that Airflow shows of a task instance, after whatever became of it."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from airflow.sdk import DAG

from airflow_provider_sfleads.exports import FileExport
from airflow_provider_sfleads.hooks.salesforce import SalesforceLeadsHook
from airflow_provider_sfleads.operators.leads import SalesforceCreateLeadsOperator
from airflow_provider_sfleads.operators.links import PAGE
from airflow_provider_sfleads.salesforce.ingest_jobs import JobSpec, create_job, job_of
from airflow_provider_sfleads.sensors.bulk import SalesforceBulkJobSensor
from tests.integration.support import FIELDS, Record, creating, people, report_of, try_of

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

    from airflow_provider_sfleads.emulator import EmulatorServer
    from tests.conftest import RunDag
    from tests.integration.conftest import Connect

NO_REQUESTS_LEFT: Record = {
    "status": 403,
    "reply": [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded."}],
}
RESULTS, JOB, LEADS = "Results", "Bulk job in Salesforce", "Leads in Salesforce"
NONE = dict.fromkeys((RESULTS, JOB, LEADS))

pytestmark = pytest.mark.usefixtures("salesforce_conn")


def links_of(run: DagRun, task_id: str = "create", map_index: int = -1) -> dict[str, str | None]:
    """The links as Airflow's API gives them to its UI, which shows none that is null."""
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    names = {"dag_id": run.dag_id, "run_id": run.run_id, "task_id": task_id, "map_index": map_index}
    with create_session() as session:
        dag = SerializedDagModel.get_dag(run.dag_id, session=session)
        assert dag is not None
        task = dag.get_task(task_id)
        found = session.scalars(select(TaskInstance).filter_by(**names)).one()
        return {name: task.get_extra_links(found, name) or None for name in task.extra_links}


def a_dag() -> DAG:
    """A Dag that no other test has."""
    return DAG(f"links_{time.time_ns()}", schedule=None)


def check_results(link: str | None, run: DagRun, report: Record, map_index: int = -1) -> None:
    """The link leads to the page, and names the execution that the report is of."""
    parts = urlsplit(link or "")
    assert (parts.scheme, parts.netloc, parts.path) == ("", "", f"/{PAGE}")
    assert parse_qs(parts.query) == {
        "dag_id": [run.dag_id],
        "run_id": [run.run_id],
        "task_id": ["create"],
        "map_index": [str(map_index)],
        "execution": [report["results_path"].rpartition("/")[2]],
    }


def check_page(link: str | None, *words: str) -> None:
    """There is such a page in Salesforce, and it shows that."""
    reply = requests.get(link or "", timeout=10)
    assert reply.status_code == 200
    assert [word for word in words if word not in reply.text] == []


def test_a_task_links_to_its_results_and_to_the_leads(
    run_dag: RunDag, emulator: EmulatorServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is no bulk job, and so no link to one, nor a word about it in the log; no link holds a secret."""
    with a_dag() as dag:
        creating(people(3), tmp_path)
    run = run_dag(dag)
    links = links_of(run)
    check_results(links[RESULTS], run, report_of(run, "create"))
    check_page(links[LEADS], "Last 0", "Last 2")
    assert links[JOB] is None
    assert "XCom not found" not in capsys.readouterr().out
    for secret in ("emulator-key", "emulator-secret", *emulator.tokens_issued()):
        assert secret not in str(links)


def test_a_task_that_fails_on_rejects_links_to_them(run_dag: RunDag, tmp_path: Path) -> None:
    """They are what a person wants to see then."""
    with a_dag() as dag:
        creating([*people(2), {"key": "K-9", "last": "", "company": "Acme"}], tmp_path)
    run = run_dag(dag)
    assert run.state == "failed"
    report = report_of(run, "create")
    assert report["rejected"] == 1
    check_results(links_of(run)[RESULTS], run, report)


def test_a_retry_links_to_what_both_tries_did(run_dag: RunDag, emulator: EmulatorServer, tmp_path: Path) -> None:
    """Airflow has forgotten the links of the try before."""
    emulator.add_fault("status", method="POST", path="/composite/sobjects", times=1, **NO_REQUESTS_LEFT)
    with a_dag() as dag:
        creating(people(3), tmp_path, retries=1, retry_delay=timedelta(0))
    run = run_dag(dag)
    report = report_of(run, "create")
    assert (run.state, try_of(run, "create")[1], report["created"], report["attempts"]) == ("success", 2, 3, 2)
    links = links_of(run)
    check_results(links[RESULTS], run, report)
    assert links[LEADS] is not None


def test_each_mapped_task_has_links_of_its_own(run_dag: RunDag, tmp_path: Path) -> None:
    """By its map index; the second has a bulk job."""
    paths = []
    for n in range(2):
        paths.append(tmp_path / f"people-{n}.csv")
        rows = "".join(f"{row['key']},{row['last']},Acme\n" for row in people(3, start=10 * n))
        paths[n].write_text(f"key,last,company\n{rows}")
    with a_dag() as dag:
        SalesforceCreateLeadsOperator.partial(
            task_id="create",
            key="key",
            external_id_field="External_Id__c",
            fields=FIELDS,
            results_path=str(tmp_path / "results"),
        ).expand_kwargs(
            [
                {"export": FileExport(str(paths[0])), "api": "collections"},
                {"export": FileExport(str(paths[1])), "api": "bulk"},
            ]
        )
    run = run_dag(dag)
    reports = [report_of(run, "create", map_index=n) for n in range(2)]
    links = [links_of(run, map_index=n) for n in range(2)]
    for n in range(2):
        check_results(links[n][RESULTS], run, reports[n], map_index=n)
    assert links[0][JOB] is None
    check_page(links[1][JOB], *reports[1]["job_ids"], "JobComplete")


def test_several_jobs_link_to_the_list_of_jobs(run_dag: RunDag, emulator: EmulatorServer, tmp_path: Path) -> None:
    """Salesforce has no page that shows just these: one that updates whom the e-mail finds, and one that creates."""
    emulator.seed_leads([{"LastName": "Ray", "Company": "Acme", "Email": "ray@acme.example"}])
    rows = [*people(1, mail="ray@acme.example"), *people(1, start=1, mail="new@acme.example")]
    with a_dag() as dag:
        how = {"fields": FIELDS | {"mail": "Email"}, "match_email": True, "existing": "update"}
        creating(rows, tmp_path, api="bulk", **how)
    run = run_dag(dag)
    job_ids = report_of(run, "create")["job_ids"]
    assert len(job_ids) == 2
    check_page(links_of(run)[JOB], *job_ids)


def test_a_dry_run_links_to_what_it_would_do(run_dag: RunDag, tmp_path: Path) -> None:
    """Its results have a folder of their own."""
    with a_dag() as dag:
        creating(people(3), tmp_path, dry_run=True)
    run = run_dag(dag)
    check_results(links_of(run)[RESULTS], run, report_of(run, "create"))


def test_a_task_that_could_not_begin_has_no_links(
    run_dag: RunDag, connect: Connect, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing lies where they would lead, and a link to nowhere is worse than none."""
    connect(password="wrong")
    with a_dag() as dag:
        creating(people(3), tmp_path)
    run = run_dag(dag)
    assert run.state == "failed"
    assert links_of(run) == NONE
    assert "XCom not found" not in capsys.readouterr().out


@pytest.mark.parametrize("how", [{"mode": "poke"}, {"mode": "reschedule"}, {"deferrable": True}])
def test_a_sensor_links_to_its_job(
    run_dag: RunDag, emulator: EmulatorServer, salesforce_conn: str, how: dict[str, Any]
) -> None:
    """However it waits."""
    hook = SalesforceLeadsHook(salesforce_conn)
    call = create_job(JobSpec(operation="insert"))
    job_id = job_of(call, hook.send(call), conn_id=salesforce_conn).id
    emulator.abort_job(job_id)
    with a_dag() as dag:
        SalesforceBulkJobSensor(task_id="wait", job_id=job_id, **{"deferrable": False, **how})
    links = links_of(run_dag(dag), "wait")
    assert list(links) == [JOB]
    check_page(links[JOB], job_id, "Aborted")
