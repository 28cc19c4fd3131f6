"""Jobs that somebody deletes in Setup, and with them what they say of their rows: no lead twice, none moved back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.dying import Point, dies, sent
from tests.integration.queueing import hold
from tests.integration.support import Task, by_external_id, creating, killed, leads, moving, people, wait_for

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

pytestmark = pytest.mark.usefixtures("salesforce_conn")

BULK: dict[str, Any] = {"api": "bulk"}
CLOSED = Point(
    at="airflow_provider_sfleads.salesforce.client:Client.send", which=sent("PATCH", body={"state": "UploadComplete"})
)


def delete_jobs(emulator: EmulatorServer) -> None:
    """Abort the jobs and delete them, as Setup > Bulk Data Load Jobs lets people do."""
    jobs = emulator.emulator.jobs
    with jobs.changed:
        for job in jobs.all():
            jobs.end(job, "Aborted", emulator.emulator.now_text())
            jobs.remove(job)


@contextmanager
def meanwhile(act: Callable[[], object]) -> Iterator[None]:
    """Let somebody else act while the block runs."""
    somebody = threading.Thread(target=act)
    somebody.start()
    yield
    somebody.join()


def test_leads_that_a_deleted_job_created_count_as_created(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Sent again they meet themselves; only those that were there before are leads that exist."""
    emulator.seed_leads(leads(people(50)))
    emulator.change_settings(bulk_rate=1_000.0)

    def act() -> None:
        hold(emulator, 400)
        emulator.change_settings(bulk_rate=None)
        delete_jobs(emulator)

    with meanwhile(act):
        ran = Task().run(creating(people(1_000), tmp_path, **BULK))

    assert (ran.error, ran.counts) == (None, {"created": 950, "unchanged": 50})
    assert ran.full["unchanged_reasons"] == {"already_exists": 50}
    assert [job["failed"] >= 400 for job in emulator.jobs()] == [True]
    found = by_external_id(emulator)
    assert {key: row["salesforce_id"] for key, row in ran.by_key.items()} == {k: v["Id"] for k, v in found.items()}


def test_leads_that_a_job_created_which_is_deleted_between_two_tries_count_as_created(
    emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker was killed while it waited for the job."""
    task = Task()
    dies(monkeypatch, CLOSED)
    killed(creating(people(300), tmp_path, **BULK), task)
    emulator.finish_jobs()
    delete_jobs(emulator)
    ran = task.run(creating(people(300), tmp_path, **BULK))

    assert (ran.error, ran.counts, len(by_external_id(emulator))) == (None, {"created": 300}, 300)


def test_leads_of_a_deleted_job_are_looked_at_again_before_they_are_moved(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """Sales has moved one on while the job waited: it is not moved back."""
    ids = emulator.seed_leads(leads(people(300)))
    emulator.change_settings(bulk_delay=3_600.0)

    def act() -> None:
        assert wait_for(lambda: any(job["state"] == "UploadComplete" for job in emulator.jobs()))
        emulator.edit_lead(ids[7], Lead_Stage__c="SQL")
        emulator.change_settings(bulk_delay=0.0)
        delete_jobs(emulator)

    with meanwhile(act):
        ran = Task().run(moving(people(300), tmp_path, **BULK))

    assert (ran.error, ran.counts) == (None, {"updated": 299, "unchanged": 1})
    assert (ran.by_key["K-7"]["action"], ran.by_key["K-7"]["reason"]) == ("unchanged", "beyond_stage")
    assert emulator.lead(ids[7])["Lead_Stage__c"] == "SQL"


def test_leads_of_a_job_that_is_deleted_between_two_tries_are_looked_at_again(
    emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the job had moved by then is where it belongs, and what Sales moved on stays there."""
    ids = emulator.seed_leads(leads(people(300)))
    task = Task()
    dies(monkeypatch, CLOSED)
    killed(moving(people(300), tmp_path, **BULK), task)
    emulator.finish_jobs()
    emulator.edit_lead(ids[7], Lead_Stage__c="SQL")
    delete_jobs(emulator)
    ran = task.run(moving(people(300), tmp_path, **BULK))

    assert (ran.error, ran.full["unchanged_reasons"]) == (None, {"already_at_stage": 299, "beyond_stage": 1})
    assert emulator.lead(ids[7])["Lead_Stage__c"] == "SQL"
