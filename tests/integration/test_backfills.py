"""Backfills of the example Dags in a real Airflow: of a week that ran, of a week that never ran, and dry."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

import pytest

from airflow_provider_sfleads.emulator import EmulatorServer
from tests.integration.backfilling import Backfilling
from tests.integration.real_airflow import ROOT, real_airflow
from tests.integration.support import Record, by_external_id
from tests.integration.weeks import CREATE, STAGE, TASKS, Company, found_company, interval_of

if TYPE_CHECKING:
    from tests.conftest import RunDag

CONFIG = ROOT / "tests/chaos/airflow_config"
SETTINGS = {
    # A Dag that is not paused runs at once, for yesterday: not before there is something to connect with.
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
    # The warehouse is a server: two tasks at a time are welcome here.
    "AIRFLOW__CORE__PARALLELISM": "4",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
}
# Of a lead that was made at another time, in another org.
OTHERWISE = ("Id", "CreatedDate", "LastModifiedDate", "SystemModstamp")


@pytest.fixture(scope="module")
def airflow(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backfilling]:
    """One Airflow for all tests, with the Dags as they lie in ``dags/``."""
    folder = tmp_path_factory.mktemp("airflow")
    shutil.copytree(CONFIG, folder / "home" / "config")
    settings = SETTINGS | {"AIRFLOW_VAR_SALESFORCE_RESULTS": str(folder / "results")}
    with real_airflow(postgres_url, folder, ROOT / "dags", settings) as running:
        running.wait_for(lambda: len(running.call("GET", "/dags")["dags"]) == 7, "seven Dags are read")
        yield Backfilling(running)


def test_a_week_that_ran_is_left_as_it_is_by_its_backfill_and_by_its_runs_in_any_order(
    airflow: Backfilling, emulator: EmulatorServer, postgres_url: str
) -> None:
    """Backwards, two runs at a time, and then cleared at random: no lead changes, and no lead's history."""
    company = found_company(postgres_url, emulator, date(2026, 11, 2))
    airflow.connect(company)
    rng = Random(20261102)
    for day in company.days:
        for dag_id in TASKS:
            airflow.night(dag_id, day)
        company.work_as_sales(rng)
    leads, history = emulator.leads(include_deleted=True), emulator.history()
    assert {lead["Lead_Stage__c"] for lead in leads} == {None, "MQL", "SAL", "SQL"}
    assert any(lead["IsConverted"] for lead in leads)

    how = {"run_backwards": True, "reprocess_behavior": "completed", "max_active_runs": 2}
    for dag_id in TASKS:
        airflow.backfill(dag_id, company.days, **how)
    runs = [(dag_id, run) for dag_id in TASKS for run in airflow.wait_for_runs(dag_id, company.days)]
    assert {(run["run_type"], run["state"]) for _, run in runs} == {("backfill", "success")}
    assert emulator.leads(include_deleted=True) == leads
    assert emulator.history() == history

    rng.shuffle(runs)
    for two in zip(runs[::2], runs[1::2], strict=True):
        for dag_id, run in two:
            airflow.clear(dag_id, run)
        for dag_id, _ in two:
            airflow.wait_for_runs(dag_id, company.days)
    for dag_id, task_id in TASKS.items():
        tasks = airflow.tasks(dag_id, task_id, company.days)
        assert [(task["state"], task["try_number"]) for task in tasks] == [("success", 3)] * 7
    assert emulator.leads(include_deleted=True) == leads
    assert emulator.history() == history


@pytest.mark.whole_way
def test_a_week_that_never_ran_comes_out_of_a_backfill_as_it_would_have_night_by_night(
    airflow: Backfilling,
    emulator: EmulatorServer,
    postgres_url: str,
    run_dag: RunDag,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With two runs at a time, of which one writes: the older one first."""
    with EmulatorServer() as other:
        nightly = found_company(postgres_url, other, date(2026, 11, 9))
        run_nightly(nightly, run_dag, monkeypatch)

        company = found_company(postgres_url, emulator, nightly.first)
        airflow.connect(company)
        for dag_id, task_id in TASKS.items():
            airflow.backfill(dag_id, company.days, max_active_runs=2)
            assert [run["state"] for run in airflow.wait_for_runs(dag_id, company.days)] == ["success"] * 7
            tasks = airflow.tasks(dag_id, task_id, company.days)
            assert [task["logical_date"][:10] for task in tasks] == [str(day) for day in company.days]
            assert all(before["end_date"] <= after["start_date"] for before, after in pairwise(tasks))

        assert as_kept(emulator) == as_kept(other)
        assert as_gone(emulator) == as_gone(other)
    assert {len(stages) for stages in as_gone(emulator).values()} == {0, 1}


def run_nightly(company: Company, run_dag: RunDag, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run both Dags night by night, in this process."""
    from demo.dagbag import DagBag

    for conn_id, fields in company.connections().items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))
    for day in company.days:
        for dag_id in TASKS:
            # Running a Dag renders its templates in place.
            dag = DagBag(dag_folder=str(ROOT / f"dags/{dag_id}.py")).dags[dag_id]
            # A run by hand reads the interval that ends at its logical date.
            assert run_dag(dag, logical_date=interval_of(dag_id, day)[1]).state == "success"


def as_kept(org: EmulatorServer) -> dict[str, Record]:
    """What the leads are, by external ID."""
    found = by_external_id(org)
    return {key: {name: lead[name] for name in lead if name not in OTHERWISE} for key, lead in found.items()}


def as_gone(org: EmulatorServer) -> dict[str, list[str]]:
    """Through which stages each lead went, by external ID."""
    names = {lead["Id"]: key for key, lead in by_external_id(org).items()}
    gone: dict[str, list[str]] = {key: [] for key in names.values()}
    for step in org.history():
        if step["field"] == "Lead_Stage__c":
            gone[names[step["lead_id"]]].append(step["new"])
    return gone


def test_a_dry_backfill_says_so_in_its_first_line_and_changes_nothing(
    airflow: Backfilling, emulator: EmulatorServer, postgres_url: str
) -> None:
    """By way of the API and of the command line; a switch that says otherwise has nothing to say."""
    company = found_company(postgres_url, emulator, date(2026, 11, 16))
    airflow.connect(company)
    days = company.days[:2]
    history = emulator.history()

    airflow.unpause(f"{CREATE}_dry_run")
    airflow.backfill(f"{CREATE}_dry_run", days, dag_run_conf={"dry_run": False})
    assert check_dry(airflow, CREATE, days)["would_create"] > 100
    assert emulator.history() == history

    for day in days:
        airflow.night(CREATE, day)
    history = emulator.history()
    airflow.unpause(f"{STAGE}_dry_run")
    command = [sys.executable, "-m", "airflow", "backfill", "create", "--dag-id", f"{STAGE}_dry_run"]
    span = ["--from-date", str(days[0]), "--to-date", str(company.days[2])]
    subprocess.run([*command, *span], env=airflow.env, check=True, capture_output=True)
    assert check_dry(airflow, STAGE, days)["would_update"] > 10
    assert emulator.history() == history


def check_dry(airflow: Backfilling, dag_id: str, days: list[date]) -> Record:
    """Check that the dry runs of a Dag have succeeded, and what they say; returns the first one's report."""
    runs = airflow.wait_for_runs(f"{dag_id}_dry_run", days)
    assert [run["state"] for run in runs] == ["success"] * len(days)
    for run, day in zip(runs, days, strict=True):
        said = airflow.said(f"{dag_id}_dry_run", run, TASKS[dag_id])
        span = " to ".join(moment.isoformat() for moment in interval_of(dag_id, day))
        assert said[0].startswith("DRY RUN: Salesforce is only read.")
        assert span in said[0]
        assert not [line for line in said if "LIVE" in line]
    reports = [airflow.report(f"{dag_id}_dry_run", run, TASKS[dag_id]) for run in runs]
    assert all(report["dry_run"] and not report["created"] and not report["updated"] for report in reports)
    return reports[0]
