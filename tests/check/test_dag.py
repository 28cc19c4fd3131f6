"""The check as a task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.check import check_contract
from airflow_provider_sfleads.exceptions import ContractBrokenError
from tests.check.conftest import people
from tests.integration.copied import DAGS
from tests.integration.support import no_retry, report_of, try_of

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from airflow_provider_sfleads.emulator import EmulatorServer
    from tests.conftest import RunDag

WANTED: dict[str, Any] = {"external_id_field": "External_Id__c", "stage_field": "Lead_Stage__c", "match_email": True}


def example() -> DAG:
    """The Dag as Airflow reads it."""
    from demo.dagbag import DagBag

    bag = DagBag(dag_folder=str(DAGS / "salesforce_contract_check.py"))
    assert not bag.import_errors
    return bag.dags["salesforce_contract_check"]


@pytest.mark.usefixtures("salesforce_conn")
def test_the_findings_are_plain_json(emulator: EmulatorServer, tmp_path: Path) -> None:
    """A task can return them; the answers go into a file."""
    emulator.seed_leads(people(3))
    found = check_contract(**WANTED, fields=["Phone"], json_path=str(tmp_path / "a.json"))

    assert found == json.loads(json.dumps(found))
    assert (found["holds"], found["host"], found["org_id"]) == (True, emulator.url, "00D5g0000000001EAA")
    assert found["api_calls"] > 20
    assert (tmp_path / "a.json").exists()


@pytest.mark.usefixtures("salesforce_conn")
def test_what_does_not_hold_is_an_error_that_no_retry_mends(
    emulator: EmulatorServer, caplog: pytest.LogCaptureFixture
) -> None:
    """It names the lines; the table is in the log before."""
    caplog.set_level("INFO", logger="airflow_provider_sfleads")
    emulator.change_settings(language="de", denied=["ViewSetup"])
    with pytest.raises(ContractBrokenError, match=r"user\.language, assignment_rule\.read") as caught:
        check_contract(**WANTED)

    assert no_retry(caught.value)
    assert "View Setup" in " ".join(caplog.text.split())


@pytest.mark.usefixtures("salesforce_conn")
def test_the_example_dag_runs_and_returns_the_findings(run_dag: RunDag, emulator: EmulatorServer) -> None:
    """By hand alone."""
    emulator.seed_leads(people(3))
    dag = example()
    assert dag.schedule is None
    done = run_dag(dag)

    assert done.state == "success"
    assert report_of(done, "check")["holds"] is True


@pytest.mark.usefixtures("salesforce_conn")
def test_the_example_dag_fails_at_once_where_something_does_not_hold(
    run_dag: RunDag, emulator: EmulatorServer, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its log has the table, and the params say what is used."""
    emulator.change_settings(denied=["Contact.Read"])
    done = run_dag(example(), run_conf={"match_email": True})

    assert (done.state, try_of(done, "check")) == ("failed", ("failed", 1))
    assert "contact.read" in "".join(capfd.readouterr())
