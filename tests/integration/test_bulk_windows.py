"""Kills and lost answers in the narrow moments in which a bulk run has done one half of a step and not the other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.dying import Point, dies, sent
from tests.integration.support import Task, creating, killed, leads, moving, people

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

pytestmark = pytest.mark.usefixtures("salesforce_conn")

BULK: dict[str, Any] = {"api": "bulk"}
PLAIN: dict[str, Any] = {"external_id_field": None, "api": "bulk"}
CLIENT = "airflow_provider_sfleads.salesforce.client:Client"
PIECES = "airflow_provider_sfleads.pipeline.staged_pieces:Pieces"
GONE: dict[str, Any] = {"status": 404, "reply": [{"errorCode": "NOT_FOUND", "message": "gone"}]}


def test_a_look_up_that_was_not_recorded_is_begun_anew(
    emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had staged by then is not sent beside what the second look-up stages."""
    emulator.seed_leads(leads(people(300)))
    task = Task()
    dies(monkeypatch, Point(at=f"{PIECES}.publish", nth=2))
    killed(moving(people(300), tmp_path, **BULK), task)
    ran = task.run(moving(people(300), tmp_path, **BULK))

    assert (ran.error, ran.counts, len(ran.rows)) == (None, {"updated": 300}, 300)
    assert [job["rows"] for job in emulator.jobs()] == [300]


def test_an_update_whose_look_up_was_not_recorded_is_sent_once(
    emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New leads and known ones alike."""
    emulator.seed_leads(leads(people(100), Company="Old"))
    task = Task()
    dies(monkeypatch, Point(at=f"{PIECES}.publish", nth=2))
    killed(creating(people(300), tmp_path, existing="update", **BULK), task)
    ran = task.run(creating(people(300), tmp_path, existing="update", **BULK))

    assert (ran.error, ran.counts, len(ran.rows)) == (None, {"created": 200, "updated": 100}, 300)
    assert sorted(job["rows"] for job in emulator.jobs()) == [100, 200]


def test_rows_staged_anew_by_a_step_that_was_not_recorded_are_counted_once(
    emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the job they come from cannot be asked about now."""
    emulator.change_settings(bulk_fail_after=100)
    task = Task()
    dies(monkeypatch, Point(at=f"{PIECES}.publish", nth=2))
    killed(creating(people(300), tmp_path, **PLAIN), task)
    emulator.change_settings(bulk_fail_after=None)
    fault = {"method": "GET", "path": "/jobs/ingest/", "status": 400, "reply": [{"errorCode": "NO", "message": "no"}]}
    emulator.add_fault("status", **fault)
    second = task.run(creating(people(300), tmp_path, **PLAIN))
    emulator.clear_faults()
    third = task.run(creating(people(300), tmp_path, **PLAIN))

    assert (second.counts, len(second.rows)) == ({"not_sent": 300}, 300)
    assert (third.error, third.counts, len(third.rows)) == (None, {"created": 300}, 300)
    assert len(emulator.leads()) == 300


@pytest.mark.parametrize("point", ["removed", "ended"])
def test_a_tail_whose_worker_is_killed_as_it_ends_is_in_the_report(
    point: str, emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of its rows goes only when their results lie in another."""
    points = {
        "removed": Point(at=f"{PIECES}.remove"),
        "ended": Point(at="airflow_provider_sfleads.results.folder:ResultsFolder.write_report", before=True),
    }
    task = Task()
    rows = people(300, last="#N/A")
    dies(monkeypatch, points[point])
    killed(creating(rows, tmp_path, **PLAIN), task)
    ran = task.run(creating(rows, tmp_path, **PLAIN))

    assert (ran.error, ran.counts, len(ran.rows)) == (None, {"created": 300}, 300)
    assert len(emulator.leads()) == 300


def test_rows_of_a_deleted_job_are_looked_for_though_the_worker_is_killed_as_it_learns_of_it(
    emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First they are set apart, then the job is forgotten, then their leads are found; none is sent again."""
    task = Task()
    with monkeypatch.context() as once:
        dies(once, Point(at=f"{CLIENT}.send", which=sent("PATCH", body={"state": "UploadComplete"})))
        killed(creating(people(300), tmp_path, **PLAIN), task)
    emulator.add_fault("status", method="GET", path="/jobs/ingest/", **GONE)
    with monkeypatch.context() as once_more:
        dies(once_more, Point(at="airflow_provider_sfleads.operators.run_parts:_JobJournal.note"))
        killed(creating(people(300), tmp_path, **PLAIN), task)
    ran = task.run(creating(people(300), tmp_path, **PLAIN))

    assert (ran.counts, len(ran.rows)) == ({"created": 300}, 300)
    assert len(emulator.leads()) == 300
    assert len(emulator.jobs()) == 1
