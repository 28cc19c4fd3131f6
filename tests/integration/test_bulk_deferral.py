"""Deferral: while jobs run, a triggerer waits for them, and what is left behind is aborted."""

from __future__ import annotations

import getpass
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.io.store import attach

from airflow_provider_sfleads.exports import FileExport
from airflow_provider_sfleads.version_compat import deferral_failures
from tests.integration.support import StateStore, Task, creating, deferred, people, report_of

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from tests.conftest import RunDag

pytestmark = pytest.mark.usefixtures("salesforce_conn")

PLAIN: dict[str, Any] = {"external_id_field": None, "api": "bulk", "deferrable": True}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that leave the wait to the triggerer at once."""
    monkeypatch.setattr("airflow_provider_sfleads.operators.load_run._PATIENCE", 0.0)


def test_a_task_is_deferred_while_its_job_runs_and_goes_on_when_it_is_over(
    run_dag: RunDag, emulator: EmulatorServer, tmp_path: Path
) -> None:
    """The worker waits ten seconds itself, then the triggerer does; calls of all processes are counted."""
    emulator.change_settings(bulk_rate=200.0)
    export = tmp_path / "people.jsonl"
    export.write_text("\n".join(map(json.dumps, people(3_500))))
    with DAG("deferred_bulk", schedule=None) as dag:
        creating(FileExport(str(export)), tmp_path / "results", **PLAIN)

    report = report_of(run_dag(dag), "create")

    stats = emulator.stats()
    assert (report["created"], len(emulator.leads()), report["attempts"]) == (3_500, 3_500, 1)
    assert (report["api"], len(report["job_ids"])) == ("bulk", 1)
    assert (report["api_calls"], report["token_requests"]) == (stats["api_used"], stats["token_requests"])
    assert stats["token_requests"] == 3  # the worker's, the triggerer's, and that of the worker that goes on


@pytest.mark.usefixtures("impatient")
def test_what_a_trigger_is_given_holds_no_secret(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Ids of jobs and of the connection, and when they began."""
    emulator.change_settings(bulk_delay=60.0)
    said, _ = deferred(creating(people(10), tmp_path, **PLAIN), StateStore())

    _, arguments = said.trigger.serialize()
    assert set(arguments) == {"salesforce_conn_id", "job_ids", "started_at", "abort_on_kill", "queued_until"}
    assert [job["id"] for job in emulator.jobs()] == arguments["job_ids"]


@pytest.mark.usefixtures("impatient")
def test_a_deferral_that_times_out_aborts_the_job_and_the_next_try_finishes(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """Airflow calls no ``on_kill`` then."""
    emulator.change_settings(bulk_delay=60.0)
    store = StateStore()
    operator = creating(people(3_000), tmp_path, **PLAIN)
    _, context = deferred(operator, store)

    with pytest.raises(deferral_failures()[1]):
        operator.resume_execution("__fail__", {"error": "Trigger timeout"}, context)
    assert [job["state"] for job in emulator.jobs()] == ["Aborted"]

    emulator.change_settings(bulk_delay=0.0)
    task = Task(run_id="r", store=store, tries=1)
    ran = task.run(creating(people(3_000), tmp_path, **PLAIN | {"deferrable": False}))
    assert (ran.counts, len(emulator.leads())) == ({"created": 3_000}, 3_000)


@pytest.mark.usefixtures("impatient")
def test_a_trigger_that_gives_up_leaves_the_job_to_the_worker(emulator: EmulatorServer, tmp_path: Path) -> None:
    """What it could not see is looked at again, and waited for anew if need be."""
    emulator.change_settings(bulk_delay=60.0)
    operator = creating(people(10), tmp_path, **PLAIN)
    _, context = deferred(operator, StateStore())
    emulator.change_settings(bulk_delay=0.0)
    emulator.finish_jobs()

    report = operator.execute_complete(context, {"status": "error", "message": "no connection", "jobs": []})

    assert (report["created"], len(emulator.leads())) == (10, 10)


@pytest.mark.usefixtures("impatient")
def test_another_machine_goes_on_where_results_lie_at_a_common_storage(
    emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is staged lies there too; nothing is left of it, or of the machine's own, in the end."""
    import fsspec  # type: ignore[import-untyped]

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    storage = fsspec.filesystem("memory")
    attach("memory", conn_id=None, fs=storage)
    emulator.change_settings(bulk_delay=60.0)
    operator = creating(people(2_500), "memory://lake", **PLAIN)
    _, context = deferred(operator, StateStore())
    (mine,) = tmp_path.glob(f"sfleads-{getpass.getuser()}-*")
    shutil.rmtree(mine)
    emulator.change_settings(bulk_delay=0.0)
    emulator.finish_jobs()

    report = operator.execute_complete(context, {"status": "finished", "jobs": [], "api_calls": 1})

    assert (report["created"], len(emulator.leads())) == (2_500, 2_500)
    assert not [name for name in storage.find("/lake") if "_staging" in name]
