"""Alerts out of Airflow's own processes: the task's, and the Dag processor's for what no task could send itself."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.real_airflow import RealAirflow, real_airflow
from tests.integration.support import people
from tests.notifications.inboxes import Channel, channel

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

DAGS = Path(__file__).with_name("airflow_dags")
DIRTY: list[dict[str, Any]] = [{"key": "<!channel>", "last": "x" * 81, "company": "Acme"}]
COUNT = 6


@pytest.fixture(scope="module")
def slack() -> Iterator[Channel]:
    """Where all the Dags send to."""
    with channel() as opened:
        yield opened


@pytest.fixture(scope="module")
def org() -> Iterator[EmulatorServer]:
    """The org of all the Dags."""
    from airflow_provider_sfleads.emulator import EmulatorServer, EmulatorSettings

    with EmulatorServer(EmulatorSettings()) as server:
        yield server


@pytest.fixture(scope="module")
def airflow(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory, slack: Channel, org: EmulatorServer
) -> Iterator[RealAirflow]:
    """One Airflow for all tests."""
    folder = tmp_path_factory.mktemp("alerts")
    dags = Path(shutil.copytree(DAGS, folder / "dags", ignore=shutil.ignore_patterns("__pycache__")))
    (folder / "good.jsonl").write_text("\n".join(map(json.dumps, people(3))))
    (folder / "dirty.jsonl").write_text("\n".join(map(json.dumps, people(3) + DIRTY)))
    salesforce = {
        "conn_type": "salesforce_leads",
        "host": org.url,
        "login": "emulator-key",
        "password": "emulator-secret",
    }
    settings = {
        "AIRFLOW_VAR_FOLDER": str(folder),
        "AIRFLOW_CONN_SLACK": slack.connection,
        "AIRFLOW_CONN_SALESFORCE_LEADS_DEFAULT": json.dumps(salesforce),
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",
        # A task that is silent for so long is taken for dead.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "10",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "1",
    }
    with real_airflow(postgres_url, folder, dags, settings) as running:
        running.wait_for(lambda: len(running.call("GET", "/dags")["dags"]) == COUNT, "the Dags are read")
        yield running


def messages(airflow: RealAirflow, slack: Channel, dag_id: str) -> list[str]:
    """What a run of a Dag sends; Airflow may take a lost task for lost more than once."""

    def found() -> list[str]:
        return sorted({text for text in slack.texts if f"/dags/{dag_id}/runs/" in text})

    airflow.trigger(dag_id)
    airflow.wait_for(found, f"{dag_id} sends a message")
    return found()


def test_a_task_tells_of_its_success(airflow: RealAirflow, slack: Channel) -> None:
    """Its process reads the report once the task has ended."""
    (text,) = messages(airflow, slack, "good")
    assert text.startswith("LIVE: good.create succeeded (3 created)\n")
    assert f"Log: {airflow.url}/dags/good/runs/manual__" in text


def test_a_task_tells_of_its_failure(airflow: RealAirflow, slack: Channel) -> None:
    """With the report that it pushed before it failed."""
    (text,) = messages(airflow, slack, "dirty")
    assert text.startswith("LIVE: dirty.create failed (")
    assert "STRING_TOO_LONG: 1 row, key '‹!channel›' (LastName: " in text  # noqa: RUF001 - as it is shown
    assert "RejectsExceededError: 1 of 4 rows" in text


def test_a_lost_task_is_told_of_by_the_dag_processor(airflow: RealAirflow, slack: Channel) -> None:
    """Where its machine is gone, nobody knows what it failed with."""
    (text,) = messages(airflow, slack, "lost")
    assert text.startswith("LIVE: lost.create failed\n")
    assert "Its process ended without a word" in text


def test_a_killed_task_is_told_of_by_its_dag(airflow: RealAirflow, slack: Channel) -> None:
    """Where only its own process is gone, Airflow 3.3 calls nothing but the Dag's callback."""
    (text,) = messages(airflow, slack, "killed")
    assert text.startswith("LIVE OR DRY RUN: killed failed\n")
    assert "- none of them reported\n\nFailed tasks: create.\n" in text


def test_a_dag_tells_of_all_its_syncs(airflow: RealAirflow, slack: Channel) -> None:
    """A line each, also of mapped tasks."""
    (text,) = messages(airflow, slack, "whole")
    assert text.startswith("LIVE AND DRY RUN: whole succeeded (")
    lines = [line for line in text.splitlines() if line.startswith("- ")]
    assert [line.partition(":")[0] for line in lines] == ["- LIVE create", "- DRY RUN again[0]", "- DRY RUN again[1]"]
    assert "Rejected (STRING_TOO_LONG 1): file://" in lines[2]
    assert f"Log: {airflow.url}/dags/whole/runs/manual__" in text


def test_a_dag_tells_what_failed(airflow: RealAirflow, slack: Channel) -> None:
    """By the names of the tasks; their own logs say why."""
    (text,) = messages(airflow, slack, "whole_failing")
    assert text.startswith("LIVE: whole_failing failed (")
    assert "Failed tasks: create, never." in text
