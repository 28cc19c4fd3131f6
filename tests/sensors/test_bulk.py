"""The sensor without Airflow around it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, TaskDeferred

from airflow_provider_sfleads.exceptions import BulkJobError, RequestRefusedError, WrongKeyOrSecretError
from airflow_provider_sfleads.sensors.bulk import SalesforceBulkJobSensor
from tests.salesforce.stub import Say, Stub, refused, serving

JOB = "7505g00000XyZaBAAV"


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    """A Salesforce that answers as the test says, and the default connection that leads there."""
    with serving() as running:
        connection = {"conn_type": "salesforce_leads", "host": running.url, "login": "k", "password": "s"}
        monkeypatch.setenv("AIRFLOW_CONN_SALESFORCE_LEADS_DEFAULT", json.dumps(connection))
        yield running


def job(state: str, **more: object) -> Say:
    """A job as Salesforce describes it."""
    counts = {"numberRecordsProcessed": 7, "numberRecordsFailed": 2}
    return Say(200, {"id": JOB, "operation": "insert", "state": state, **counts, **more})


def sensor(**more: Any) -> SalesforceBulkJobSensor:
    """A sensor for the job that pokes without a pause."""
    return SalesforceBulkJobSensor(task_id="wait", job_id=JOB, **{"poke_interval": 0, "deferrable": False, **more})


class Airflow:
    """The context of a task, and what that pushes."""

    def __init__(self) -> None:
        self.pushed: list[tuple[str, object]] = []
        self.context: Any = {"ti": self}

    def xcom_push(self, key: str, value: object) -> None:
        """Take an XCom."""
        self.pushed.append((key, value))


def execute(made: SalesforceBulkJobSensor) -> object:
    """Run a sensor in a context of its own."""
    found: object = made.execute(Airflow().context)
    return found


DONE = {"job_id": JOB, "state": "JobComplete", "processed": 7, "failed": 2}


def test_a_job_that_failed_over_a_hidden_field_says_what_to_give(stub: Stub) -> None:
    """As the operators do."""
    stub.script = lambda _got: job("Failed", errorMessage="InvalidBatch : Field name not found : Score__c")
    with pytest.raises(BulkJobError, match="edit access to Score__c"):
        execute(sensor())


def test_it_pokes_until_the_job_is_over(stub: Stub) -> None:
    """Its counts are what it returns, with one token for all pokes."""
    answers = [job("UploadComplete"), job("InProgress"), job("JobComplete")]
    stub.script = lambda got: answers[got.number - 1]
    assert execute(sensor()) == DONE
    assert (len(stub.requests), len(stub.token_forms)) == (3, 1)


@pytest.mark.parametrize("state", ["Failed", "Aborted"])
def test_a_job_that_did_not_complete_fails_without_retry(stub: Stub, state: str) -> None:
    """The message is the job's."""
    stub.script = lambda _got: job(state, errorMessage="InvalidBatch : Field name not found : Nope__c")
    with pytest.raises(BulkJobError, match=f"{JOB}.* is {state}: InvalidBatch.*7 rows, 2 of which failed") as caught:
        execute(sensor())
    assert isinstance(caught.value, AirflowFailException)


def test_a_job_that_is_gone_fails_without_retry(stub: Stub) -> None:
    """Waiting for it is no use."""
    stub.script = lambda _got: refused("NOT_FOUND", "gone", 404)
    with pytest.raises(BulkJobError, match="Deleted"):
        execute(sensor())


def test_a_soft_fail_skips(stub: Stub) -> None:
    """Airflow's own switch works."""
    stub.script = lambda _got: job("Failed")
    with pytest.raises(AirflowSkipException):
        execute(sensor(soft_fail=True))


def test_trouble_that_passes_is_waited_out(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    """A limit that is reached is told in the log, and the next poke asks again."""
    answers = [refused("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", 403), job("JobComplete")]
    stub.script = lambda got: answers[got.number - 1]
    assert execute(sensor()) == DONE
    assert "TotalRequests Limit exceeded" in capsys.readouterr().out


def test_trouble_that_does_not_pass_fails_without_retry(stub: Stub) -> None:
    """Who may not ask, and who has the wrong secret, learns it at once."""
    stub.script = lambda _got: refused("INSUFFICIENT_ACCESS", "no", 403)
    with pytest.raises(RequestRefusedError) as caught:
        execute(sensor())
    assert isinstance(caught.value, AirflowFailException)
    stub.token_script = lambda _got: Say(400, {"error": "invalid_client", "error_description": "bad"})
    with pytest.raises(WrongKeyOrSecretError):
        execute(sensor())


def test_a_job_that_is_over_already_is_not_deferred(stub: Stub) -> None:
    """A deferral costs some seconds."""
    stub.script = lambda _got: job("JobComplete")
    assert execute(sensor(deferrable=True)) == DONE


def test_the_job_is_linked_with_the_first_poke(stub: Stub) -> None:
    """Once, for a person who wants to look at it while the sensor waits."""
    answers = [job("InProgress"), job("InProgress"), job("JobComplete")]
    stub.script = lambda got: answers[got.number - 1]
    airflow = Airflow()
    sensor().execute(airflow.context)
    address = f"{stub.url}/lightning/setup/AsyncApiJobStatus/page?address=%2F{JOB}"
    assert airflow.pushed == [("_link_BulkJobLink", address)]


def test_a_deferral_leaves_the_job_to_the_triggerer(stub: Stub) -> None:
    """For as long as the sensor may take; a sensor that is killed aborts nothing."""
    stub.script = lambda _got: job("InProgress")
    with pytest.raises(TaskDeferred) as deferred:
        execute(sensor(deferrable=True, timeout=77))
    arguments = deferred.value.trigger.serialize()[1]
    assert (arguments["job_ids"], arguments["abort_on_kill"]) == ([JOB], False)
    assert deferred.value.timeout is not None
    assert (deferred.value.method_name, deferred.value.timeout.total_seconds()) == ("execute_complete", 77)


def event(state: str, **more: object) -> dict[str, Any]:
    """What the trigger tells."""
    found = {"id": JOB, "state": state, "processed": 7, "failed": 2, "error": None, **more}
    return {"status": "finished", "jobs": [found], "api_calls": 1, "token_requests": 1, "message": None}


def test_what_the_triggerer_found_is_the_result() -> None:
    """As if the sensor had poked itself."""
    assert sensor().execute_complete({}, event("JobComplete")) == DONE
    with pytest.raises(BulkJobError, match="Failed: why") as caught:
        sensor().execute_complete({}, event("Failed", error="why"))
    assert isinstance(caught.value, AirflowFailException)


def test_an_error_of_the_triggerer_fails_without_retry() -> None:
    """With the triggerer's message."""
    with pytest.raises(AirflowFailException, match="no such connection"):
        sensor().execute_complete({}, {"status": "error", "message": "no such connection", "jobs": []})


def test_job_and_connection_are_templates() -> None:
    """A job id usually comes out of an XCom."""
    made = SalesforceBulkJobSensor(task_id="wait", job_id="{{ job }}", salesforce_conn_id="{{ org }}")
    made.render_template_fields({"job": JOB, "org": "sf"})  # type: ignore[typeddict-unknown-key]
    assert (made.job_id, made.salesforce_conn_id) == (JOB, "sf")


def test_importing_it_is_cheap() -> None:
    """A Dag file that has it loads neither an HTTP client nor a trigger."""
    code = "import sys; import airflow_provider_sfleads.sensors.bulk; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(run.stdout.split())
    assert not {name for name in loaded if name.startswith("airflow_provider_sfleads.t")}
    assert not {"numpy", "pyarrow"} & loaded
