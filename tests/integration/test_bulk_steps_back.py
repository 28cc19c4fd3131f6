"""Rows that a job left out are looked up anew before another one carries them: Sales moves leads on meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.dying import Point, dies, sent
from tests.integration.queueing import hold
from tests.integration.support import Task, killed, leads, moving, people, run

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from airflow_provider_sfleads.emulator.watching import Sight

pytestmark = pytest.mark.usefixtures("salesforce_conn")

BULK: dict[str, Any] = {"api": "bulk"}
SEND = "airflow_provider_sfleads.salesforce.client:Client.send"


@pytest.mark.parametrize("processed", [0, 100])
def test_a_job_that_was_aborted_between_two_tries(
    emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processed: int
) -> None:
    """By somebody in Setup, before it began or half-way: the next try sends what is left, as it stands then."""
    ids = emulator.seed_leads(leads(people(300)))
    emulator.change_settings(bulk_delay=0.0 if processed else 3_600.0, bulk_rate=200.0)
    task = Task()
    dies(monkeypatch, Point(at=SEND, which=sent("PATCH", body={"state": "UploadComplete"})))
    killed(moving(people(300), tmp_path, **BULK), task)
    (job,) = emulator.jobs()
    hold(emulator, processed)
    emulator.abort_job(job["id"])
    emulator.change_settings(bulk_delay=0.0, bulk_rate=None)
    waiting = [lead for lead in ids if emulator.lead(lead)["Lead_Stage__c"] != "MQL"]
    assert waiting
    for lead in waiting[:5]:
        emulator.edit_lead(lead, Lead_Stage__c="SQL")
    ran = task.run(moving(people(300), tmp_path, **BULK))

    assert (ran.error, ran.counts) == (None, {"updated": 295, "unchanged": 5})
    assert {emulator.lead(lead)["Lead_Stage__c"] for lead in waiting[:5]} == {"SQL"}


def test_locked_rows_of_a_large_job(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Rows that failed for a passing reason go into a job of their own, and the first one may have taken hours."""
    rows = people(2_500)
    ids = emulator.seed_leads(leads(rows))
    emulator.add_fault("lock", key="^00Q", count=1)

    def sales(sight: Sight) -> None:
        if "failedResults" in sight.target and sight.phase == "arrived":
            emulator.edit_lead(ids[7], Lead_Stage__c="SQL")

    emulator.watch(sales)
    ran = run(moving(rows, tmp_path, **BULK))

    assert (ran.error, ran.counts) == (None, {"updated": 2_499, "unchanged": 1})
    assert emulator.lead(ids[7])["Lead_Stage__c"] == "SQL"
    assert len(ran.full["job_ids"]) == 2
