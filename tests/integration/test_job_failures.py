"""Jobs that Salesforce fails as a whole: what is made again, what is not, and what people are told."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.exceptions import ApiLimitError, BulkJobError, ObjectAccessError, RowsNotSentError
from tests.integration.support import (
    FIELDS,
    Ran,
    Rows,
    StateStore,
    Task,
    by_external_id,
    creating,
    deferred,
    folder_of,
    killed,
    leads,
    moving,
    no_retry,
    people,
    results_of,
)

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_sfleads.emulator import EmulatorServer
    from airflow_provider_sfleads.emulator.watching import Sight
    from airflow_provider_sfleads.operators.base import LeadSyncOperator

pytestmark = pytest.mark.usefixtures("salesforce_conn")

BULK: dict[str, Any] = {"api": "bulk"}
PLAIN: dict[str, Any] = {"external_id_field": None, "api": "bulk"}
HIDDEN = "InvalidBatch : Field name not found : Company"
LINES = "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is LF"
LASTING = [HIDDEN, LINES, "InvalidEntity : Lead"]
LIMITS = ["ExceededQuota : Batches Limit exceeded.", "EXCEEDEDQUOTA : x", "LIMIT_EXCEEDED : x"]
HEALING = ["InternalServerError : x", "TooManyLockFailure : Too many lock failure (200)"]


def fail_jobs(emulator: EmulatorServer, message: str) -> None:
    """Have each job fail in the queue as soon as it is closed, until :func:`heal`."""
    emulator.change_settings(bulk_delay=60.0)

    def look(sight: Sight) -> None:
        if sight.method == "PATCH" and "/jobs/ingest/" in sight.target and sight.phase == "done":
            for job in emulator.jobs():
                if job["state"] == "UploadComplete":
                    emulator.fail_job(job["id"], message)

    emulator.watch(look)


def heal(emulator: EmulatorServer) -> None:
    """Let jobs go through again."""
    emulator.emulator.watchers.clear()
    emulator.change_settings(bulk_delay=0.0)


def reasons(ran: Ran) -> set[str]:
    """Why rows were not sent."""
    return {row["reason"] for row in ran.rows if row["action"] == "not_sent"}


@pytest.mark.parametrize("how", [PLAIN, BULK, BULK | {"existing": "update"}], ids=["plain", "skip", "update"])
@pytest.mark.parametrize("message", LASTING)
def test_a_job_that_would_fail_again_is_made_once(
    message: str, how: dict[str, Any], emulator: EmulatorServer, tmp_path: Path
) -> None:
    """The task fails without retry, its rows are there to be sent, and when the cause is mended a clear sends them."""
    fail_jobs(emulator, message)
    task = Task()
    first = task.run(creating(people(500), tmp_path, **how))
    told = reasons(first)

    assert isinstance(first.error, BulkJobError)
    assert no_retry(first.error)
    assert message in str(first.error)
    assert "500 of 500 rows were not sent" in str(first.error)
    assert (first.counts, told) == ({"not_sent": 500}, {"stopped"})
    assert [job["rows"] for job in emulator.jobs()] == [500]

    heal(emulator)
    second = task.run(creating(people(500), tmp_path, **how))
    assert (second.error, second.counts) == (None, {"created": 500})
    assert len(emulator.leads()) == len({row["salesforce_id"] for row in second.rows}) == 500


def test_a_field_that_is_hidden_after_describe_is_named(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Access is lost while the export is read: the emulator itself fails the job, and a move fails likewise."""
    ids = emulator.seed_leads(leads(people(300)))

    def look(sight: Sight) -> None:
        if sight.method == "POST" and sight.target.endswith("/jobs/ingest"):
            emulator.change_settings(hidden_fields=["Lead_Stage__c"])

    emulator.watch(look)
    ran = Task().run(moving(people(300), tmp_path, **BULK))

    assert isinstance(ran.error, BulkJobError)
    assert no_retry(ran.error)
    for words in ("Field name not found : Lead_Stage__c", "edit access to Lead_Stage__c", "field-level security"):
        assert words in str(ran.error)
    assert (ran.counts, len(ids)) == ({"not_sent": 300}, 300)


@pytest.mark.parametrize("message", LIMITS)
def test_a_quota_that_a_job_meets_is_a_limit(message: str, emulator: EmulatorServer, tmp_path: Path) -> None:
    """As at a refused request: the next try comes in an hour."""
    fail_jobs(emulator, message)
    task = Task()
    first = task.run(creating(people(500), tmp_path, **BULK))
    told = reasons(first)
    heal(emulator)
    second = task.run(creating(people(500), tmp_path, **BULK))

    check_limit(first.error)
    assert (first.counts, told) == ({"not_sent": 500}, {"api_usage_limit"})
    assert (second.error, second.counts) == (None, {"created": 500})
    assert len(by_external_id(emulator)) == 500


def check_limit(error: BaseException | None) -> None:
    """The error of a limit: worth a retry, in an hour."""
    assert isinstance(error, RowsNotSentError)
    assert isinstance(error.__cause__, ApiLimitError)
    assert (no_retry(error), error.retry_after) == (False, 3600.0)


@pytest.mark.parametrize("message", HEALING)
def test_a_job_that_may_heal_is_made_again_in_the_next_try(
    message: str, emulator: EmulatorServer, tmp_path: Path
) -> None:
    """Not in the same one, which would meet the same trouble."""
    fail_jobs(emulator, message)
    task = Task()
    first = task.run(creating(people(500), tmp_path, **PLAIN))
    jobs = len(emulator.jobs())
    heal(emulator)
    second = task.run(creating(people(500), tmp_path, **PLAIN))

    assert isinstance(first.error, RowsNotSentError)
    assert (jobs, no_retry(first.error)) == (1, False)
    assert (second.error, second.counts, len(emulator.jobs())) == (None, {"created": 500}, 2)


def complete(operator: LeadSyncOperator, emulator: EmulatorServer, message: str, store: StateStore) -> Ran:
    """Defer a task, have its job fail meanwhile, and go on with what the trigger says."""
    emulator.change_settings(bulk_delay=60.0)
    said, context = deferred(operator, store)
    (job_id,) = said.trigger.serialize()[1]["job_ids"]
    emulator.fail_job(job_id, message)
    emulator.change_settings(bulk_delay=0.0)
    pushed: dict[str, Any] = {}
    context["ti"].xcom_push = lambda key, value: pushed.update({key: value})
    event = {"status": "finished", "jobs": [{"id": job_id, "state": "Failed", "error": message}], "api_calls": 1}
    try:
        report = operator.execute_complete(context, event)
    except Exception as error:  # noqa: BLE001 - whatever it is, the test judges it
        return Ran(report=pushed.get("return_value"), error=error)
    return Ran(report=report, error=None)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that leave the wait to the triggerer at once."""
    monkeypatch.setattr("airflow_provider_sfleads.operators.load_run._PATIENCE", 0.0)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("message", [*LASTING, *LIMITS, *HEALING])
def test_a_job_that_fails_while_the_task_is_deferred_ends_the_try(
    message: str, emulator: EmulatorServer, tmp_path: Path
) -> None:
    """By the same rule as in the worker: no second job of the same try, and no deferral without end.

    What may heal is gone on with; for a reason that stays, the next one begins anew.
    """
    store = StateStore()
    ran = complete(creating(people(500), tmp_path, deferrable=True, **BULK), emulator, message, store)

    assert [job["rows"] for job in emulator.jobs()] == [500]
    assert ran.counts == {"not_sent": 500}
    assert no_retry(ran.error) is (message in LASTING)
    if message in LIMITS:
        check_limit(ran.error)
    again = Task(run_id="r", store=store, tries=1).run(creating(people(500), tmp_path, **BULK))
    assert (again.error, again.counts) == (None, {"created": 500})
    assert (folder_of(again.full) == ran.folder) is (message not in LASTING)
    assert len(results_of(again.full)) == 500


def test_a_job_that_failed_for_good_unseen_is_not_made_again(emulator: EmulatorServer, tmp_path: Path) -> None:
    """The worker was gone when it did: the next try tells why, and sends nothing."""
    store, operator = StateStore(), creating(people(500), tmp_path, **PLAIN)
    emulator.change_settings(bulk_delay=60.0)
    operator.deferrable = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("airflow_provider_sfleads.operators.load_run._PATIENCE", 0.0)
        deferred(operator, store)
    emulator.fail_job(emulator.jobs()[0]["id"], HIDDEN)
    emulator.change_settings(bulk_delay=0.0)
    task = Task(run_id="r", store=store, tries=1)
    ran = task.run(creating(people(500), tmp_path, **PLAIN))

    assert isinstance(ran.error, BulkJobError)
    assert (ran.counts, len(emulator.jobs())) == ({"not_sent": 500}, 1)
    again = task.run(creating(people(500), tmp_path, **PLAIN))
    assert (again.error, again.counts, len(emulator.jobs())) == (None, {"created": 500}, 2)


PHONE: dict[str, Any] = {"fields": FIELDS | {"phone": "Phone"}}


def hide_at_the_job(emulator: EmulatorServer, *fields: str) -> None:
    """Take access to fields away when the first job is made."""

    def look(sight: Sight) -> None:
        if sight.method == "POST" and sight.target.endswith("/jobs/ingest"):
            emulator.change_settings(hidden_fields=list(fields))

    emulator.watch(look)


@pytest.mark.parametrize("how", [PLAIN, BULK, BULK | {"existing": "update"}], ids=["plain", "skip", "update"])
@pytest.mark.parametrize("api", ["bulk", "auto", "collections"])
def test_a_dag_that_is_mended_after_such_a_failure_is_what_a_clear_goes_by(
    api: str, how: dict[str, Any], emulator: EmulatorServer, tmp_path: Path
) -> None:
    """The message advises to take the field out: the rows are read, and mapped, anew, and each is created once."""
    hide_at_the_job(emulator, "Phone")
    task, rows = Task(), people(500, phone="1")
    first = task.run(creating(rows, tmp_path, **how | PHONE))
    assert (isinstance(first.error, BulkJobError), first.counts) == (True, {"not_sent": 500})

    second = task.run(creating(people(500, kind="x"), tmp_path, **how | {"api": api}))
    assert (second.error, second.counts, len(emulator.leads())) == (None, {"created": 500}, 500)
    third = task.run(creating(rows, tmp_path, **how))
    assert (third.error, third.counts, len(emulator.leads())) == (None, {"unchanged": 500}, 500)


def test_rows_that_the_job_wrote_before_it_failed_are_not_created_again(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """Of plain inserts the results of the execution that failed are all that tells."""
    emulator.change_settings(bulk_rate=200.0)

    def look(sight: Sight) -> None:
        if sight.method == "GET" and "/jobs/ingest/" in sight.target and sight.phase == "arrived":
            for job in emulator.jobs():
                if job["state"] == "InProgress" and job["processed"] == 200:
                    emulator.fail_job(job["id"], HIDDEN)

    emulator.watch(look)
    task = Task()
    first = task.run(creating(people(500), tmp_path, **PLAIN))
    assert (isinstance(first.error, BulkJobError), first.counts) == (True, {"created": 200, "not_sent": 300})

    heal(emulator)
    emulator.change_settings(bulk_rate=None)
    second = task.run(creating(people(500), tmp_path, **PLAIN))
    assert (second.error, second.counts) == (None, {"created": 300, "unchanged": 200})
    assert len(emulator.leads()) == 500
    assert [each["created"] for each in second.full["executions"]] == [200, 300]


@pytest.mark.parametrize("how", [PLAIN, BULK, BULK | {"existing": "update"}], ids=["plain", "skip", "update"])
def test_what_is_staged_goes_by_pages_where_collections_are_asked_for_by_now(
    how: dict[str, Any], emulator: EmulatorServer, tmp_path: Path
) -> None:
    """Also after a failure that may heal: several messages advise to take collections."""
    fail_jobs(emulator, HEALING[0])
    task = Task()
    first = task.run(creating(people(500), tmp_path, **how))
    assert first.counts == {"not_sent": 500}

    second = task.run(creating(people(500), tmp_path, **how | {"api": "collections"}))
    assert (second.error, second.counts, len(emulator.jobs())) == (None, {"created": 500}, 1)
    assert "api='collections' asks for it" in second.full["api_reason"]
    assert len(emulator.leads()) == 500


def test_an_export_that_was_not_read_to_its_end_goes_by_pages_likewise(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """The worker was killed while it read: nothing is staged yet."""

    def die(number: int) -> None:
        if number == 250:
            os.kill(os.getpid(), signal.SIGKILL)

    task = Task()
    killed(creating(Rows(people(500), before=die), tmp_path, **PLAIN), task)
    ran = task.run(creating(people(500), tmp_path, **PLAIN | {"api": "collections"}))
    assert (ran.error, ran.counts, emulator.jobs()) == (None, {"created": 500}, [])


@pytest.mark.parametrize("api", ["bulk", "auto"])
def test_a_rule_that_may_not_be_read_any_more(emulator: EmulatorServer, tmp_path: Path, api: str) -> None:
    """A retry meets it after its jobs are over: auto goes on by pages, bulk is one error that names the permission."""
    fail_jobs(emulator, HEALING[0])
    task, rows = Task(), people(2_100)
    assert task.run(creating(rows, tmp_path, api=api)).counts == {"not_sent": 2_100}
    heal(emulator)
    emulator.change_settings(denied=["ViewSetup"])
    ran = task.run(creating(rows, tmp_path, api=api))
    if api == "bulk":
        assert isinstance(ran.error, ObjectAccessError)
        assert no_retry(ran.error)
        assert "View Setup and Configuration" in str(ran.error)
        ran = task.run(creating(rows, tmp_path, api="collections"))
    assert (ran.error, ran.counts, len(emulator.jobs())) == (None, {"created": 2_100}, 1)
    assert len({lead["OwnerId"] for lead in emulator.leads()}) == 1
    assert emulator.leads()[0]["OwnerId"].startswith("00G")


@pytest.mark.usefixtures("impatient")
def test_jobs_under_way_are_collected_though_contacts_are_hidden_by_then(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """They need no look-up any more; the next execution does, and says so."""
    emulator.change_settings(bulk_delay=60.0)
    mailed: dict[str, Any] = {"fields": FIELDS | {"mail": "Email"}, "match_email": True}
    rows = [row | {"mail": f"{row['key']}@example.com".lower()} for row in people(500)]
    store, operator = StateStore(), creating(rows, tmp_path, deferrable=True, **BULK, **mailed)
    deferred(operator, store)
    emulator.change_settings(bulk_delay=0.0, denied=["Contact.Read"])
    emulator.finish_jobs()
    task = Task(run_id="r", store=store, tries=1)
    ran = task.run(creating(rows, tmp_path, **BULK, **mailed))
    assert (ran.error, ran.counts) == (None, {"created": 500})
    assert isinstance(task.run(creating(rows, tmp_path, **BULK, **mailed)).error, ObjectAccessError)
