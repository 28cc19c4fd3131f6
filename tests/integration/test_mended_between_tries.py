"""What is changed between two tries: rows are sent only by the plan that they were staged by, and no lead doubles."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.exceptions import ExportError, PlanChangedError, RowsNotSentError
from tests.integration.dying import Point, dies, sent
from tests.integration.support import (
    Rows,
    Task,
    creating,
    killed,
    killed_at_write,
    leads,
    no_retry,
    people,
)
from tests.integration.test_retries import NO_REQUESTS_LEFT
from tests.integration.test_unknown_outcomes import AT_ONCE, names, plain

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from airflow_provider_sfleads.exports.record_batches import ChunkStream

pytestmark = pytest.mark.usefixtures("salesforce_conn")

ONE: dict[str, Any] = {"api": "collections", "concurrency": 1}
MENDED: dict[str, Any] = {"fields": {"last": "LastName", "company": "Company", "key": "Description"}}
CLIENT = "airflow_provider_sfleads.salesforce.client:Client"


def test_leads_that_a_new_key_would_not_find_are_not_created_again(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Without an external ID 200 were made; by one that is named only now none of them is there."""
    task, rows = Task(), people(600)
    killed_at_write(plain(rows, tmp_path, concurrency=1), task, emulator, 1)
    other = task.run(creating(rows, tmp_path, **ONE))
    assert isinstance(other.error, PlanChangedError)
    assert no_retry(other.error)
    assert "external_id_field" in str(other.error)
    assert len(names(emulator)) == 200
    ran = task.run(plain(rows, tmp_path, late=AT_ONCE))
    assert (ran.error, ran.counts) == (None, {"created": 600})
    assert len(set(names(emulator))) == len(names(emulator)) == 600


def test_rows_in_doubt_are_settled_before_the_mapping_changes(emulator: EmulatorServer, tmp_path: Path) -> None:
    """By other values than those that were sent nobody would find the leads of the page that got no answer."""
    task, rows = Task(), people(600)
    killed_at_write(plain(rows, tmp_path, concurrency=1), task, emulator, 2)
    other = task.run(plain(rows, tmp_path, late=AT_ONCE, **MENDED))
    assert isinstance(other.error, PlanChangedError)
    assert "got no answer" in str(other.error)
    ran = task.run(plain(rows, tmp_path, late=AT_ONCE))
    assert (ran.error, ran.counts) == (None, {"created": 600})
    assert task.run(plain(rows, tmp_path, late=AT_ONCE, **MENDED)).counts == {"unchanged": 600}
    assert len(set(names(emulator))) == len(names(emulator)) == 600


def test_jobs_that_hold_rows_are_settled_before_the_mapping_changes(
    emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says to set the Dag back for this run, and that is enough."""
    task, rows = Task(), people(300)
    how: dict[str, Any] = {"api": "bulk", "existing": "update"}
    with monkeypatch.context() as patched:
        dies(patched, Point(at=f"{CLIENT}.send", which=sent("PATCH", body={"state": "UploadComplete"})))
        killed(creating(rows, tmp_path, **how), task)
    other = task.run(creating(rows, tmp_path, **how | MENDED))
    assert isinstance(other.error, PlanChangedError)
    assert no_retry(other.error)
    assert "Set the parameters back" in str(other.error)
    # A query that says otherwise in each try, by a macro, is no other plan.
    ran = task.run(creating(people(300, company="Later"), tmp_path, **how))
    assert (ran.error, ran.counts, len(names(emulator))) == (None, {"created": 300}, 300)
    assert {lead["Company"] for lead in emulator.leads()} == {"Acme"}


@pytest.mark.parametrize("keyed", [True, False])
def test_staged_rows_that_were_tidied_away_leave_the_records(
    emulator: EmulatorServer, tmp_path: Path, *, keyed: bool
) -> None:
    """So does an older version, which staged no rows for pages: the records tell all that the next one has to know."""
    task, rows = Task(), people(600)
    how = ONE | {"external_id_field": "External_Id__c" if keyed else None}
    emulator.add_fault("status", nth=2, path="/composite/sobjects", times=1, **NO_REQUESTS_LEFT)
    assert task.run(creating(rows, tmp_path, **how)).counts == {"created": 200, "not_sent": 400}
    for staging in tmp_path.rglob("_staging"):
        shutil.rmtree(staging)
    # Whoever looked for these leads by their values would not find them.
    for lead in emulator.leads():
        emulator.edit_lead(lead["Id"], Company="Renamed by Sales")
    ran = task.run(creating(rows, tmp_path, **how))
    assert (ran.error, ran.counts) == (None, {"created": 400, "unchanged": 200})
    assert len(names(emulator)) == 600


def test_rows_that_were_staged_long_ago_undo_nothing(emulator: EmulatorServer, tmp_path: Path) -> None:
    """A failed run is cleared when newer ones have long written other values: the export is read as it is now."""
    task, rows = Task(), people(400)
    emulator.seed_leads(leads(rows, Description="Before"))
    how = ONE | {"existing": "update", "fields": {"last": "LastName", "company": "Company", "about": "Description"}}
    emulator.add_fault(
        "status", nth=2, path="/composite/sobjects/Lead/External_Id__c", times=1, method="PATCH", **NO_REQUESTS_LEFT
    )
    first = task.run(creating(people(400, about="Then"), tmp_path, **how))
    assert first.counts == {"updated": 200, "not_sent": 200}
    newer = Task(run_id="newer").run(creating(people(400, about="Now"), tmp_path, **how))
    assert newer.counts == {"updated": 400}
    task.store.values["salesforce_leads"]["started_at"] = "2026-01-01T03:00:00+00:00"
    ran = task.run(creating(people(400, about="Now"), tmp_path, **how))
    assert (ran.error, ran.counts) == (None, {"unchanged": 400})
    assert {lead["Description"] for lead in emulator.leads()} == {"Now"}


def test_the_memory_is_not_trusted_where_another_plan_has_written_since(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """A try wrote other values and recorded none of them; the memory still tells those of the run before."""
    rows = people(300, about="A")
    how: dict[str, Any] = ONE | {"existing": "update", "changed_only": True}
    how |= {"fields": {"last": "LastName", "company": "Company", "about": "Description"}}
    assert Task(run_id="before").run(creating(rows, tmp_path, **how)).counts == {"created": 300}
    task = Task(run_id="now")
    wrong = people(300, about="wrong")
    killed_at_write(creating(wrong, tmp_path, **how), task, emulator, 1)
    assert any(lead["Description"] == "wrong" for lead in emulator.leads())
    # The plan is another one, and what it would write is what the memory says is there.
    ran = task.run(creating(rows, tmp_path, **how, assignment_rule=None))
    assert ran.error is None
    assert {lead["Description"] for lead in emulator.leads()} == {"A"}


def test_a_cleared_run_by_e_mail_writes_to_what_it_made(emulator: EmulatorServer, tmp_path: Path) -> None:
    """``existing="update"`` without an external ID: a lead that an earlier execution made is a lead that is there."""

    def rows(company: str) -> list[dict[str, Any]]:
        return [
            {"key": f"K-{n}", "last": f"Ann {n}", "company": company, "email": f"ann{n}@example.com"} for n in range(5)
        ]

    fields = {"last": "LastName", "company": "Company", "email": "Email"}
    how = ONE | {"external_id_field": None, "match_email": True, "existing": "update", "fields": fields}
    task = Task()
    assert task.run(creating(rows("Acme"), tmp_path, **how)).counts == {"created": 5}
    assert task.run(creating(rows("New"), tmp_path, **how)).counts == {"updated": 5}
    assert [lead["Company"] for lead in emulator.leads()] == ["New"] * 5


def test_the_export_is_closed_before_a_row_is_sent(emulator: EmulatorServer, tmp_path: Path) -> None:
    """A warehouse ends sessions that do nothing for long."""
    made: list[int] = []

    class Watched(Rows):
        @contextmanager
        def open(self) -> Iterator[ChunkStream]:
            with super().open() as stream:
                yield stream
            made.append(len(emulator.leads()))

    assert Task().run(creating(Watched(people(300)), tmp_path, **ONE)).counts == {"created": 300}
    assert made == [0]


@pytest.mark.usefixtures("emulator")
def test_nothing_of_an_export_that_broke_off_stays_staged(tmp_path: Path) -> None:
    """It is read anew, and its rows are people."""

    def look(number: int) -> None:
        if number == 200:
            raise ExportError("The warehouse is gone.")

    ran = Task().run(creating(Rows(people(300), before=look), tmp_path, **ONE))
    assert isinstance(ran.error, RowsNotSentError)
    assert len(ran.rows) == 200
    assert list(tmp_path.rglob("*.arrow")) == []
