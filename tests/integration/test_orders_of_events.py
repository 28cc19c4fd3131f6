"""Orders of events that look as if they could break the delivery guarantee."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.exceptions import ExportError, ResultsError, RowsNotSentError
from tests.detaching import detach
from tests.integration.dying import Point, dies
from tests.integration.support import FIELDS, Rows, Task, by_external_id, creating, killed, leads, people, wait_for
from tests.integration.test_unknown_outcomes import AT_ONCE, names, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_sfleads.emulator import EmulatorServer
    from airflow_provider_sfleads.emulator.watching import Sight
    from airflow_provider_sfleads.exports.record_batches import ChunkStream

pytestmark = pytest.mark.usefixtures("salesforce_conn")

ROWS = 3_000


class Closed(Rows):
    """An export that cannot be opened."""

    @contextmanager
    def open(self) -> Iterator[ChunkStream]:
        """Fail."""
        raise ExportError("The warehouse is down")
        yield


def test_a_retry_does_without_the_export(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Its rows are staged; the report tells what earlier tries did, as the results do."""
    task = Task()
    emulator.add_fault("drop_before", nth=2, method="POST", path="/composite/sobjects")
    first = task.run(plain(people(600), tmp_path))
    assert first.counts == {"created": 400, "not_sent": 200}
    second = task.run(plain(Closed(people(600)), tmp_path))
    assert isinstance(second.error, RowsNotSentError)
    assert second.counts == first.counts
    assert len(second.rows) == 600
    third = task.run(plain(people(600), tmp_path, late=AT_ONCE))
    assert (third.error, third.counts) == (None, {"created": 600})
    assert len(names(emulator)) == 600


def test_a_job_of_rows_that_are_staged_anew(
    emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a job carried before results were lost is no account of the export as it is read anew."""
    task, rows, lost = Task(), people(ROWS), [0]
    emulator.seed_leads(leads(rows, Phone="1"))

    def lose(sight: Sight) -> None:
        if sight.phase == "arrived" and sight.target.endswith("/batches") and not lost[0]:
            lost[0] = 1
            for part in tmp_path.rglob("results-*.parquet"):
                part.unlink()

    emulator.watch(lose)
    how: dict[str, Any] = {"api": "bulk", "existing": "update", "max_rejects": 100}
    nameless = [{**row, "key": None} for row in people(100)]
    first = task.run(creating([*({**row, "company": "Older"} for row in rows), *nameless], tmp_path, **how))
    assert isinstance(first.error, ResultsError)
    newer = [*({**row, "company": "Newer"} for row in rows), *nameless]
    dies(monkeypatch, Point(at="airflow_provider_sfleads.salesforce.job_control:Jobs.start", before=True))
    killed(creating(newer, tmp_path, **how), task)
    ran = task.run(creating(newer, tmp_path, **how))
    assert (ran.error, ran.counts) == (None, {"updated": ROWS, "rejected": 100})
    assert len(ran.rows) == ROWS + 100
    assert {lead["Company"] for lead in by_external_id(emulator).values()} == {"Newer"}


@pytest.mark.usefixtures("emulator")
def test_a_report_that_cannot_be_written(tmp_path: Path) -> None:
    """The error says where, and a retry ends it."""
    task = Task()

    def block(number: int) -> None:
        if number == 50:
            (folder,) = (path.parent for path in tmp_path.rglob("_begun"))
            (folder / "report.json").mkdir()

    first = task.run(creating(Rows(people(100), before=block), tmp_path, api="collections"))
    assert isinstance(first.error, ResultsError), repr(first.error)
    for path in tmp_path.rglob("report.json"):
        path.rmdir()
    second = task.run(creating(people(100), tmp_path, api="collections"))
    assert (second.error, second.counts) == (None, {"created": 100})


def test_a_part_that_cannot_be_read(emulator: EmulatorServer, tmp_path: Path) -> None:
    """A torn part is one error that says which file it is."""
    task = Task()
    emulator.add_fault("drop_before", nth=2, method="POST", path="/composite/sobjects")
    first = task.run(plain(people(600), tmp_path))
    part = next(first.folder.glob("results-*.parquet"))
    part.write_bytes(part.read_bytes()[:100])
    second = task.run(plain(people(600), tmp_path, late=AT_ONCE))
    assert isinstance(second.error, ResultsError), repr(second.error)
    assert part.name in str(second.error)
    part.unlink()
    third = task.run(plain(people(600), tmp_path, late=AT_ONCE))
    assert (third.error, third.counts) == (None, {"created": 600})
    assert len(names(emulator)) == len(set(names(emulator))) == 600


def test_the_message_where_the_storage_lost_the_owner(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Without a store of Airflow's, a detached mount is not told as another try that has taken over."""
    task, results = Task(), tmp_path / "results"
    task.context["task_state_store"] = None

    def look(number: int) -> None:
        if number == 500:
            detach(results)

    first = task.run(plain(Rows(people(ROWS), before=look), results))
    assert "results_path" in str(first.error)
    shutil.rmtree(results)
    second = task.run(plain(people(ROWS), results, late=AT_ONCE))
    assert (second.error, second.counts) == (None, {"created": ROWS})
    assert len(names(emulator)) == ROWS


def test_a_job_that_still_waits_when_the_load_goes_on_through_collections(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """It is aborted before its rows are asked for: what it would create later nobody would look for."""
    task, lost = Task(), [0]
    emulator.change_settings(bulk_delay=6.0)

    def lose(sight: Sight) -> None:
        if sight.phase == "arrived" and sight.target.endswith("/batches") and not lost[0]:
            lost[0] = 1
            for part in tmp_path.rglob("results-*.parquet"):
                part.unlink()

    emulator.watch(lose)
    rows = [*people(300), *({**row, "key": None} for row in people(100))]
    refused = [{"errorCode": "API_DISABLED_FOR_ORG", "message": "No."}]
    emulator.add_fault("status", method="GET", path="/jobs/ingest/", status=403, reply=refused)
    first = task.run(plain(rows, tmp_path, api="bulk", max_rejects=100))
    assert isinstance(first.error, ResultsError)
    emulator.clear_faults()
    ran = task.run(plain(rows, tmp_path, late=AT_ONCE, max_rejects=100))
    assert (ran.error, ran.counts) == (None, {"created": 300, "rejected": 100})
    assert wait_for(lambda: all(job["state"] in ("Aborted", "JobComplete") for job in emulator.jobs()))
    assert len(names(emulator)) == 300


def test_a_dry_run_whose_results_are_lost_begins_anew(emulator: EmulatorServer, tmp_path: Path) -> None:
    """It has sent nothing that anybody would have to ask for."""
    task, lost = Task(), [0]

    def lose(sight: Sight) -> None:
        parts = [*tmp_path.rglob("results-*.parquet")]
        if "query" in sight.target and parts and not lost[0]:
            lost[0] = 1
            for part in parts:
                part.unlink()

    emulator.watch(lose)
    rows = [{**row, "email": f"{row['key']}@example.com"} for row in people(ROWS)]
    rows += [{**row, "key": None} for row in people(100)]
    how: dict[str, Any] = {"api": "bulk", "match_email": True, "fields": {**FIELDS, "email": "Email"}}
    emulator.seed_leads([{"LastName": "Other", "Company": "Other", "Email": f"{n}@example.com"} for n in range(3_000)])
    first = task.run(plain(rows, tmp_path, dry_run=True, max_rejects=100, **how))
    assert lost == [1]
    assert isinstance(first.error, ResultsError)
    second = task.run(plain(rows, tmp_path, dry_run=True, max_rejects=100, **how))
    assert (second.error, second.counts) == (None, {"would_create": ROWS, "rejected": 100})
