"""A job that stands in the org's queue while Sales moves its leads on: none of them is moved back."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG

from airflow_provider_sfleads.exports import FileExport
from tests.integration.queueing import HOUR, LADDER, hold, hurried_move, once_closed
from tests.integration.support import Rows, Task, leads, moving, people, report_of, run

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from airflow_provider_sfleads.emulator.watching import Sight
    from tests.conftest import RunDag

pytestmark = pytest.mark.usefixtures("salesforce_conn")

MOVED_ON = 9


def stages(emulator: EmulatorServer, ids: list[str]) -> set[str]:
    """The stages of leads."""
    return {emulator.lead(lead_id)["Lead_Stage__c"] for lead_id in ids}


def move_on(emulator: EmulatorServer, ids: list[str], *, queues: int = 1) -> None:
    """Let Sales move the first leads on as the first job stands in the queue, where so many jobs stand for an hour."""

    def sales(before: int) -> None:
        if not before:
            for lead_id in ids[:MOVED_ON]:
                emulator.edit_lead(lead_id, Lead_Stage__c="SQL")
        if before == queues - 1:
            emulator.change_settings(bulk_delay=0.0)

    emulator.change_settings(bulk_delay=HOUR)
    once_closed(emulator, sales)


def test_a_job_that_waits_for_too_long_is_made_anew_from_where_the_leads_stand_then(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """The leads that Sales has moved on meanwhile are left alone."""
    ids = emulator.seed_leads(leads(people(300)))
    move_on(emulator, ids)
    ran = run(hurried_move(Rows(people(300)), tmp_path))

    assert (ran.error, ran.counts) == (None, {"updated": 291, "unchanged": 9})
    assert ran.full["unchanged_reasons"] == {"beyond_stage": 9}
    assert stages(emulator, ids[:MOVED_ON]) == {"SQL"}
    assert [(job["state"], job["rows"]) for job in emulator.jobs()] == [("Aborted", 300), ("JobComplete", 291)]
    assert len(ran.full["job_ids"]) == 1


def test_a_long_queue_is_not_fought_for_ever(emulator: EmulatorServer, tmp_path: Path) -> None:
    """After the sixth time a job is left to wait, however long that takes."""
    emulator.seed_leads(leads(people(300)))
    emulator.change_settings(bulk_delay=HOUR)
    once_closed(emulator, lambda before: before == 5 and emulator.change_settings(bulk_delay=1.0))
    ran = run(hurried_move(Rows(people(300)), tmp_path, longest_queued=0.01))

    assert (ran.error, ran.counts) == (None, {"updated": 300})
    assert [job["state"] for job in emulator.jobs()] == ["Aborted"] * 6 + ["JobComplete"]


def test_a_job_that_is_over_as_it_is_to_be_aborted_is_settled(emulator: EmulatorServer, tmp_path: Path) -> None:
    """It is taken at its word, and nothing is sent twice."""
    emulator.seed_leads(leads(people(300)))
    emulator.change_settings(bulk_delay=HOUR)
    once_closed(emulator, lambda _: emulator.finish_jobs(), word="Aborted")
    ran = run(hurried_move(Rows(people(300)), tmp_path))

    assert (ran.error, ran.counts) == (None, {"updated": 300})
    assert [job["state"] for job in emulator.jobs()] == ["JobComplete"]


def test_a_job_that_has_just_begun_as_it_is_aborted_is_settled_and_the_rest_is_looked_up_anew(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """What it has written is told as its own work."""
    ids = emulator.seed_leads(leads(people(300)))
    emulator.change_settings(bulk_delay=HOUR)

    def begin(before: int) -> None:
        if before:
            return
        jobs = emulator.emulator.jobs
        emulator.change_settings(bulk_rate=400.0)
        with jobs.changed:
            (job,) = jobs.all()
            job.due = time.monotonic()
            jobs.changed.notify_all()
        hold(emulator, 200)
        waiting = [lead_id for lead_id in ids if emulator.lead(lead_id)["Lead_Stage__c"] != "MQL"]
        for lead_id in waiting[:MOVED_ON]:
            emulator.edit_lead(lead_id, Lead_Stage__c="SQL")
        emulator.change_settings(bulk_delay=0.0, bulk_rate=None)

    once_closed(emulator, begin, word="Aborted")
    ran = run(hurried_move(Rows(people(300)), tmp_path))

    assert (ran.error, ran.counts) == (None, {"updated": 291, "unchanged": 9})
    assert [(job["state"], job["processed"]) for job in emulator.jobs()] == [("Aborted", 200), ("JobComplete", 91)]


def test_a_job_that_cannot_be_aborted_now_is_waited_for(emulator: EmulatorServer, tmp_path: Path) -> None:
    """The abort is refused, and the job runs in the end."""
    emulator.seed_leads(leads(people(300)))
    emulator.change_settings(bulk_delay=2.0)
    emulator.add_fault(
        "status", method="PATCH", body="Aborted", status=400, reply=[{"errorCode": "NO", "message": "no"}]
    )
    ran = run(hurried_move(Rows(people(300)), tmp_path))

    assert (ran.error, ran.counts) == (None, {"updated": 300})
    assert [job["state"] for job in emulator.jobs()] == ["JobComplete"]


def test_the_next_try_takes_a_job_out_of_the_queue_too(emulator: EmulatorServer, tmp_path: Path) -> None:
    """A try ends while its job stands in the queue and cannot be asked about; the next one knows when it was made."""
    ids = emulator.seed_leads(leads(people(300)))
    move_on(emulator, ids)
    gone = {"method": "GET", "path": "/jobs/ingest/[^/]+$", "status": 403}
    fault = emulator.add_fault("status", reply=[{"errorCode": "NO", "message": "no"}], **gone)
    task = Task()
    first = task.run(hurried_move(Rows(people(300)), tmp_path))
    assert (first.counts, fault) == ({"not_sent": 300}, fault)
    emulator.clear_faults()
    ran = task.run(hurried_move(Rows(people(300)), tmp_path))

    assert (ran.error, ran.counts) == (None, {"updated": 291, "unchanged": 9})
    assert stages(emulator, ids[:MOVED_ON]) == {"SQL"}


def test_a_trigger_hands_a_job_that_waits_for_too_long_back_to_a_worker(
    run_dag: RunDag, emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice, and the calls of all processes are counted."""
    monkeypatch.setattr("airflow_provider_sfleads.operators.load_run._PATIENCE", 0.0)
    ids = emulator.seed_leads(leads(people(300)))
    move_on(emulator, ids, queues=2)
    export = tmp_path / "people.jsonl"
    export.write_text("\n".join(map(json.dumps, people(300))))
    with DAG("queued_in_bulk", schedule=None) as dag:
        hurried_move(FileExport(str(export)), tmp_path / "results", longest_queued=0.5, deferrable=True)

    report = report_of(run_dag(dag), "move")

    stats = emulator.stats()
    assert (report["updated"], report["unchanged"], report["attempts"]) == (291, 9, 1)
    assert stages(emulator, ids[:MOVED_ON]) == {"SQL"}
    assert [job["state"] for job in emulator.jobs()] == ["Aborted", "Aborted", "JobComplete"]
    assert (report["api_calls"], report["token_requests"]) == (stats["api_used"], stats["token_requests"])


def test_no_more_than_25_000_rows_go_into_a_job(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Of a move only: what is created may wait."""
    emulator.change_settings(counting=True, virtual_leads=60_000)
    ids = [{"key": f"K-{n:07}"} for n in range(1, 60_001)]
    ran = run(moving(ids, tmp_path, api="bulk"))

    assert (ran.error, ran.counts) == (None, {"updated": 60_000})
    assert sorted(job["rows"] for job in emulator.jobs()) == [12_000, 24_000, 24_000]


@pytest.mark.parametrize("api", ["collections", "bulk"])
def test_a_lead_that_a_validation_rule_keeps_from_going_back_has_moved_on(
    api: str, emulator: EmulatorServer, tmp_path: Path
) -> None:
    """It is no reject; what other rules refuse is, and so is a lead that still stands where it was."""
    emulator.change_settings(forward_only=tuple(LADDER))
    rows: list[dict[str, Any]] = [row | {"segment": "SMB"} for row in people(200)]
    ids = emulator.seed_leads(leads(rows, Lead_Stage__c="Lead"))
    rows[50]["segment"] = "no such segment"

    def sales(sight: Sight) -> None:
        if sight.phase == "arrived" and sight.method == "PATCH":
            for number, stage in enumerate(("SQL", "SAL", "SQL")):
                emulator.edit_lead(ids[number], Lead_Stage__c=stage)
            emulator.watch(lambda _: None)

    emulator.watch(sales)
    ran = run(moving(rows, tmp_path, api=api, fields={"segment": "Segment__c"}, max_rejects=1))

    assert (ran.error, ran.counts) == (None, {"updated": 196, "unchanged": 3, "rejected": 1})
    assert ran.full["unchanged_reasons"] == {"beyond_stage": 3}
    found = [ran.by_key[f"K-{n}"] for n in range(3)]
    assert [(row["old_stage"], row["salesforce_id"], row["error_code"]) for row in found] == [
        (stage, lead_id, None) for stage, lead_id in zip(("SQL", "SAL", "SQL"), ids, strict=False)
    ]
    assert ran.by_key["K-50"]["action"] == "rejected"
