"""Plain inserts without an answer: Salesforce is asked about them, and only what it surely lacks is sent again."""

from __future__ import annotations

import json
import shutil
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest

from airflow_provider_sfleads.operators.leads import SalesforceCreateLeadsOperator
from tests.integration.dying import Point, dies
from tests.integration.support import (
    FIELDS,
    Ran,
    Record,
    Rows,
    Task,
    killed,
    killed_at_write,
    no_retry,
    people,
    wait_for,
    writes,
)

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from airflow_provider_sfleads.operators.load_settings import LoadSettings

pytestmark = pytest.mark.usefixtures("salesforce_conn")

HOURS = timedelta(hours=2)
# Salesforce tells its time in whole seconds, so what two clients make of it may differ by one.
AT_ONCE = timedelta(seconds=-2)
CREATES: dict[str, Any] = {"method": "POST", "path": "/composite/sobjects"}
NO_REQUESTS_LEFT: dict[str, Any] = {
    "status": 403,
    "reply": [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded."}],
}


class Impatient(SalesforceCreateLeadsOperator):
    """A create task in whose world Salesforce carries nothing out later than ``late`` after it was sent."""

    late = HOURS

    def _settings(self, stop: threading.Event) -> LoadSettings:
        return replace(super()._settings(stop), late_commit=self.late)


def plain(rows: list[Record] | Rows, folder: Path, *, late: timedelta = HOURS, **more: Any) -> Impatient:
    """A task that creates leads without an external ID."""
    export: Any = Rows(rows) if isinstance(rows, list) else rows
    given = {"fields": FIELDS, "task_id": "create", "key": "key", "api": "collections", "concurrency": 1, **more}
    operator = Impatient(export=export, results_path=str(folder), **given)
    operator.late = late
    return operator


def names(emulator: EmulatorServer) -> list[str]:
    """The last names of all leads."""
    return sorted(lead["LastName"] for lead in emulator.leads())


def leads_now(url: str) -> int:
    """How many leads there are, for a process that is not the emulator's."""
    with urlopen(f"{url}/_emulator/stats") as reply:  # noqa: S310 - the emulator's
        return int(json.load(reply)["leads"])


def reasons(ran: Ran) -> set[tuple[str, str]]:
    """Why rows were not sent."""
    return {(row["reason"], row["error_message"]) for row in ran.rows if row["action"] == "not_sent"}


def test_leads_that_are_found_are_created_at_once(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Salesforce carried the request out and the answer was lost: no retry is needed, and nothing is sent again."""
    emulator.add_fault("drop_after", nth=2, **CREATES)
    ran = Task().run(plain(people(600), tmp_path))

    assert (ran.error, ran.counts) == (None, {"created": 600})
    assert len(names(emulator)) == 600
    assert sum(request["records"] for request in writes(emulator)) == 600
    ids = {lead["LastName"]: lead["Id"] for lead in emulator.leads()}
    assert all(row["salesforce_id"] == ids[f"Last {key[2:]}"] for key, row in ran.by_key.items())


def test_leads_that_are_not_found_may_still_come(emulator: EmulatorServer, tmp_path: Path) -> None:
    """They are not sent again before that time is over, and the error says when that is."""
    task = Task()
    emulator.add_fault("drop_before", nth=2, **CREATES)
    first = task.run(plain(people(600), tmp_path))
    assert first.counts == {"created": 400, "not_sent": 200}
    ((reason, why),) = reasons(first)
    assert (reason, "until" in why) == ("outcome_unknown", True)
    assert not no_retry(first.error)
    assert "Salesforce can tell what became of rows" in str(first.error)
    wait = getattr(first.error, "retry_after", None)
    assert wait is not None
    assert HOURS - timedelta(minutes=1) < timedelta(seconds=wait) < HOURS + timedelta(seconds=2)

    assert task.run(plain(people(600), tmp_path)).counts == {"created": 400, "not_sent": 200}
    assert len(names(emulator)) == 400

    third = task.run(plain(people(600), tmp_path, late=AT_ONCE))
    assert (third.error, third.counts) == (None, {"created": 600})
    assert len(names(emulator)) == len(set(names(emulator))) == 600
    assert third.full["attempts"] == 3
    # The request that was dropped before it was carried out has no records in the emulator's log.
    assert sum(request["records"] for request in writes(emulator)) == 600


def test_a_lead_that_comes_late_is_found_by_the_retry(emulator: EmulatorServer, tmp_path: Path) -> None:
    """The request was still being carried out when the first try asked."""
    task = Task()
    emulator.add_fault("drop_then_commit", nth=1, seconds=4.0, **CREATES)
    first = task.run(plain(people(5), tmp_path))
    assert first.counts == {"not_sent": 5}
    assert wait_for(lambda: len(emulator.leads()) == 5)
    second = task.run(plain(people(5), tmp_path, late=AT_ONCE))

    assert (second.error, second.counts) == (None, {"created": 5})
    assert len(names(emulator)) == 5


@pytest.mark.parametrize("how", ["retry", "clear"])
def test_what_a_killed_worker_sent_is_asked_for(emulator: EmulatorServer, tmp_path: Path, how: str) -> None:
    """A retry resumes, a cleared task begins anew; both know of the page under way when the worker died."""
    task = Task()
    # The page of the first rows is with Salesforce, and nobody will hear of it.
    killed_at_write(plain(people(600), tmp_path, concurrency=1), task, emulator, 1)
    assert len(names(emulator)) == 200
    if how == "clear":
        # The journal of the killed try is gone, as when its keys were removed in the UI.
        task.store.values.clear()
    ran = task.run(plain(people(600), tmp_path))

    assert (ran.error, ran.counts) == (None, {"created": 600})
    assert len(names(emulator)) == len(set(names(emulator))) == 600


def test_a_retry_that_is_killed_at_once_forgets_no_unknown_outcome(
    emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first try left in doubt is still in doubt in the third."""
    task = Task()
    emulator.add_fault("drop_before", nth=1, **CREATES)
    task.run(plain(people(200), tmp_path))
    with monkeypatch.context() as patched:
        dies(patched, Point(at="airflow_provider_sfleads.pipeline.row_run:RowRun.execute", before=True))
        killed(plain(people(200), tmp_path), task)
    assert task.run(plain(people(200), tmp_path)).counts == {"not_sent": 200}
    assert task.run(plain(people(200), tmp_path, late=AT_ONCE)).counts == {"created": 200}
    assert len(names(emulator)) == 200


def test_a_repeated_key_does_not_make_an_unknown_outcome_forgotten(emulator: EmulatorServer, tmp_path: Path) -> None:
    """The second row with a key was never sent, so its outcome says nothing of the first."""
    task = Task()
    emulator.add_fault("drop_before", nth=1, **CREATES)
    rows = [*people(2), *people(1)]
    for _ in range(2):
        assert task.run(plain(rows, tmp_path)).counts == {"not_sent": 2, "duplicate_keys": 1}
    assert emulator.stats()["leads"] == 0


def test_equal_rows_stand_for_each_other(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Two rows with the same values are two leads, not one and not three."""
    task = Task()
    rows = [{"key": key, "last": "Ray", "company": "Acme"} for key in ("a", "b", "c")]
    emulator.add_fault("drop_before", nth=3, **CREATES)
    assert task.run(plain(rows, tmp_path, batch_size=1)).counts == {"created": 2, "not_sent": 1}
    ran = task.run(plain(rows, tmp_path, batch_size=1, late=AT_ONCE))

    assert ran.counts == {"created": 3}
    assert len({row["salesforce_id"] for row in ran.rows}) == len(names(emulator)) == 3


def test_leads_of_others_do_not_answer_for_a_row(emulator: EmulatorServer, tmp_path: Path) -> None:
    """A lead that was there before, or that somebody else made, proves nothing."""
    emulator.seed_leads([{"LastName": f"Last {number}", "Company": "Acme"} for number in range(3)])
    task = Task()
    emulator.add_fault("drop_before", nth=1, **CREATES)
    assert task.run(plain(people(3), tmp_path)).counts == {"not_sent": 3}
    assert task.run(plain(people(3), tmp_path, late=AT_ONCE)).counts == {"created": 3}
    assert len(names(emulator)) == 6


def test_a_lead_that_automation_has_changed_is_no_proof(emulator: EmulatorServer, tmp_path: Path) -> None:
    """It may be the row's: a person has to look, and the result names it."""
    task = Task()
    emulator.add_fault("drop_then_commit", nth=1, seconds=4.0, **CREATES)
    assert task.run(plain(people(1), tmp_path)).counts == {"not_sent": 1}
    assert wait_for(emulator.leads)
    (lead,) = emulator.leads()
    emulator.edit_lead(lead["Id"], Company="Acme Inc.")
    ran = task.run(plain(people(1), tmp_path, late=AT_ONCE))

    ((reason, why),) = reasons(ran)
    assert (reason, lead["Id"] in why) == ("outcome_unknown", True)
    assert len(names(emulator)) == 1


def test_a_lead_with_name_and_address_is_the_row_s(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Whatever else automation has changed of it."""
    task = Task()
    rows = [{"key": "a", "last": "Ray", "company": "Acme", "mail": "ray@acme.example"}]
    fields = {**FIELDS, "mail": "Email"}
    emulator.add_fault("drop_then_commit", nth=1, seconds=4.0, **CREATES)
    assert task.run(plain(rows, tmp_path, fields=fields)).counts == {"not_sent": 1}
    assert wait_for(emulator.leads)
    (lead,) = emulator.leads()
    emulator.edit_lead(lead["Id"], Company="Acme Inc.")
    ran = task.run(plain(rows, tmp_path, fields=fields, late=AT_ONCE))

    assert (ran.counts, ran.by_key["a"]["salesforce_id"]) == ({"created": 1}, lead["Id"])


def test_a_lead_that_sales_deleted_meanwhile_was_created(emulator: EmulatorServer, tmp_path: Path) -> None:
    """It is not created once more."""
    task = Task()
    emulator.add_fault("drop_then_commit", nth=1, seconds=4.0, **CREATES)
    assert task.run(plain(people(1), tmp_path)).counts == {"not_sent": 1}
    assert wait_for(emulator.leads)
    emulator.delete_lead(emulator.leads()[0]["Id"])
    assert task.run(plain(people(1), tmp_path, late=AT_ONCE)).counts == {"created": 1}
    assert emulator.leads() == []


def test_where_salesforce_cannot_be_asked_rows_stay_unknown(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Also when the time is over: no answer to the question is no proof."""
    task = Task()
    emulator.add_fault("drop_after", nth=1, **CREATES)
    emulator.add_fault("status", path="/query", **NO_REQUESTS_LEFT)
    ran = task.run(plain(people(5), tmp_path, late=AT_ONCE))
    ((reason, why),) = reasons(ran)
    assert (reason, "cannot be looked up" in why) == ("outcome_unknown", True)
    emulator.clear_faults()
    assert task.run(plain(people(5), tmp_path, late=AT_ONCE)).counts == {"created": 5}
    assert len(names(emulator)) == 5


def test_a_key_that_is_not_unique_finds_the_lead(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Such a row is asked for by its key."""
    task = Task()
    how: dict[str, Any] = {"existing": "update", "external_id_field": "Legacy_Id__c"}
    emulator.add_fault("drop_after", method="PATCH", path="/composite/sobjects", nth=1)
    emulator.add_fault("status", path="/query", nth=2, **NO_REQUESTS_LEFT)
    ran = task.run(plain(people(5), tmp_path, **how))

    assert emulator.stats()["leads"] == 5
    assert (ran.error, ran.counts) == (None, {"created": 5})


def test_the_time_counts_by_salesforce_s_clock(emulator: EmulatorServer, tmp_path: Path) -> None:
    """What is written down is when the request left, as Salesforce counts."""
    emulator.add_fault("drop_before", nth=1, **CREATES)
    before = datetime.now(UTC) - timedelta(seconds=2)
    ran = Task().run(plain(people(1), tmp_path))
    (said,) = [path.read_text() for path in ran.folder.glob("_sent/*.json")]
    noted = json.loads(said)
    assert before <= datetime.fromisoformat(noted["since"]) <= datetime.fromisoformat(noted["last"])
    assert "K-0" not in said


@pytest.mark.parametrize("api", ["collections", "bulk"])
def test_a_try_that_is_stopped_forgets_no_unknown_outcome(emulator: EmulatorServer, tmp_path: Path, api: str) -> None:
    """Its rows were not sent in this try, which says nothing of the one before: their leads are there."""
    task = Task()
    rows = people(300, company="#N/A")  # such rows never go through Bulk API 2.0
    emulator.add_fault("drop_after", nth=1, **CREATES)
    emulator.add_fault("status", path="FROM.Lead", **NO_REQUESTS_LEFT)
    assert "outcome_unknown" in {reason for reason, _ in reasons(task.run(plain(rows, tmp_path, api=api)))}
    assert len(names(emulator)) == 300
    emulator.clear_faults()

    stopped = plain(rows, tmp_path, api=api)
    emulator.watch(lambda _sight: stopped.on_kill())
    second = task.run(stopped)
    assert second.counts == {"created": 100, "not_sent": 200}
    emulator.emulator.watchers.clear()
    third = task.run(plain(rows, tmp_path, api=api))

    assert third.counts == {"created": 300}
    assert len(names(emulator)) == len(set(names(emulator))) == 300


def test_a_row_that_the_export_lost_is_spoken_of(
    emulator: EmulatorServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It cannot be asked for, and no report counts it: the log says so."""
    task = Task()
    emulator.add_fault("drop_after", nth=1, **CREATES)
    emulator.add_fault("status", path="/query", **NO_REQUESTS_LEFT)
    first = task.run(plain(people(3), tmp_path))
    assert first.counts == {"not_sent": 3}
    assert "got no answer. Those" not in caplog.text
    emulator.clear_faults()
    # Somebody tidies up, and the export is read anew.
    shutil.rmtree(first.folder / "_staging")
    assert task.run(plain(people(1), tmp_path)).counts == {"created": 1}
    assert (
        f"3 rows got no answer. Those that the export lost meanwhile stand in {first.full['results_path']}"
        in caplog.text
    )


@pytest.mark.parametrize("api", ["collections", "bulk"])
def test_the_log_warns_once_of_what_a_plain_insert_cannot_promise(
    emulator: EmulatorServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], api: str
) -> None:
    """Another run creates its rows again; the log says what can tell there."""
    rows = people(2, company="#N/A")
    assert Task().run(plain(rows, tmp_path, api=api)).counts == {"created": 2}
    said = capsys.readouterr().out
    assert said.count("No external_id_field") == 1
    assert "any other run creates its rows again" in said
    assert "write_back" in said
    assert Task(run_id="another").run(plain(rows, tmp_path, api=api)).counts == {"created": 2}
    assert len(names(emulator)) == 4
    failed = Task(run_id="third")
    emulator.add_fault("drop_before", nth=1, **CREATES)
    error = failed.run(plain(rows, tmp_path, api=api)).error
    assert "a retry of the task sends them" not in str(error)
