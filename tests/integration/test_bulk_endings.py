"""Jobs that end otherwise than complete: failed, aborted, deleted, cut by limits; and tries that are to end."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.queueing import hold
from tests.integration.support import (
    Ran,
    Rows,
    Task,
    by_external_id,
    creating,
    leads,
    moving,
    no_retry,
    people,
)

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from airflow_provider_sfleads.emulator.watching import Sight
    from tests.integration.conftest import Connect

pytestmark = pytest.mark.usefixtures("salesforce_conn")

BULK: dict[str, Any] = {"api": "bulk"}
PLAIN: dict[str, Any] = {"external_id_field": None, "api": "bulk"}


def reasons(ran: Ran) -> set[str]:
    """Why rows were not sent; a later try writes over it."""
    return {row["reason"] for row in ran.rows if row["action"] == "not_sent"}


@pytest.mark.parametrize("how", [PLAIN, BULK, BULK | {"existing": "update"}], ids=["plain", "skip", "update"])
def test_what_a_failed_job_left_out_is_sent_once_in_the_next_try(
    how: dict[str, Any], emulator: EmulatorServer, tmp_path: Path
) -> None:
    """What it did is recorded in the try in which it failed."""
    emulator.change_settings(bulk_fail_after=400)
    task = Task()
    first = task.run(creating(people(1_000), tmp_path, **how))
    why = reasons(first)
    emulator.change_settings(bulk_fail_after=None)
    second = task.run(creating(people(1_000), tmp_path, **how))

    assert (first.counts, no_retry(first.error)) == ({"created": 400, "not_sent": 600}, False)
    assert "Processing stopped after 400 records" in str(first.error)
    assert why == {"try_again"}
    assert (second.error, second.counts) == (None, {"created": 1_000})
    assert [job["rows"] for job in emulator.jobs()] == [1_000, 600]
    assert len(emulator.leads()) == len({row["salesforce_id"] for row in second.rows}) == 1_000


def test_a_failed_move_goes_on_from_where_the_leads_stand_then(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Sales moves a lead between the tries: it is not moved back."""
    ids = emulator.seed_leads(leads(people(1_000)))
    emulator.change_settings(bulk_fail_after=400)
    task = Task()
    first = task.run(moving(people(1_000), tmp_path, **BULK))
    emulator.change_settings(bulk_fail_after=None)
    waiting = next(row["salesforce_id"] for row in first.rows if row["action"] == "not_sent")
    emulator.edit_lead(waiting, Lead_Stage__c="SQL")
    second = task.run(moving(people(1_000), tmp_path, **BULK))

    assert first.counts == {"updated": 400, "not_sent": 600}
    assert (second.error, second.counts) == (None, {"updated": 999, "unchanged": 1})
    assert emulator.lead(waiting)["Lead_Stage__c"] == "SQL"
    assert len(ids) == len({row["salesforce_id"] for row in second.rows})


def test_a_job_that_somebody_aborts_in_setup_loses_nothing(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Rows that it had written by then stay written."""
    emulator.change_settings(bulk_rate=1_000.0)
    task = Task()

    def abort() -> None:
        hold(emulator, 200)
        with emulator.emulator.jobs.changed:
            for job in emulator.emulator.jobs.all():
                emulator.emulator.jobs.end(job, "Aborted", emulator.emulator.now_text())

    somebody = threading.Thread(target=abort)
    somebody.start()
    first = task.run(creating(people(1_000), tmp_path, **PLAIN))
    somebody.join()
    emulator.change_settings(bulk_rate=None)
    second = task.run(creating(people(1_000), tmp_path, **PLAIN))

    assert set(first.counts) == {"created", "not_sent"}
    assert (second.error, second.counts, len(emulator.leads())) == (None, {"created": 1_000}, 1_000)


def test_on_kill_aborts_the_job_and_accounts_for_what_it_wrote(emulator: EmulatorServer, tmp_path: Path) -> None:
    """The next try sends what the job did not come to."""
    emulator.change_settings(bulk_rate=1_000.0)
    task, operator = Task(), creating(people(2_500), tmp_path, **PLAIN)

    def kill() -> None:
        hold(emulator, 400)
        operator.on_kill()

    killer = threading.Thread(target=kill)
    killer.start()
    first = task.run(operator)
    why = reasons(first)
    killer.join()
    made = len(emulator.leads())
    emulator.change_settings(bulk_rate=None)
    second = task.run(creating(people(2_500), tmp_path, **PLAIN))

    assert first.counts == {"created": made, "not_sent": 2_500 - made}
    assert 400 <= made < 2_500
    assert why == {"stopped"}
    assert (second.error, second.counts, len(emulator.leads())) == (None, {"created": 2_500}, 2_500)
    assert [job["state"] for job in emulator.jobs()] == ["Aborted", "JobComplete"]


def test_on_kill_while_the_export_is_read_sends_nothing(emulator: EmulatorServer, tmp_path: Path) -> None:
    """And the next try reads it anew."""
    operators: list[Any] = []

    def kill(number: int) -> None:
        if number == 2_500:
            operators[0].on_kill()

    task = Task()
    operators.append(creating(Rows(people(60_000), before=kill), tmp_path, **PLAIN))
    first = task.run(operators[0])
    second = task.run(creating(people(300), tmp_path, **PLAIN))

    assert first.error is not None
    assert set(first.counts) == {"not_sent"}
    assert (second.error, second.counts, len(emulator.leads())) == (None, {"created": 300}, 300)


def test_rows_that_a_job_says_nothing_of_are_never_sent_again_where_that_could_double_them(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """Beyond the org's daily allowance a job gives no result of any kind."""
    emulator.change_settings(bulk_batch_limit=2, bulk_batch_rows=100)
    task = Task()
    first = task.run(creating(people(500), tmp_path, **PLAIN))
    emulator.change_settings(bulk_batch_limit=100)
    second = task.run(creating(people(500), tmp_path, **PLAIN))

    for ran in (first, second):
        assert ran.counts == {"created": 200, "not_sent": 300}
        assert reasons(ran) == {"outcome_unknown"}
    assert [job["rows"] for job in emulator.jobs()] == [500]
    assert len(emulator.leads()) == 200


@pytest.mark.parametrize("how", [{}, {"existing": "update"}], ids=["skip", "update"])
def test_rows_that_a_job_says_nothing_of_are_sent_again_where_keys_keep_them_from_being_doubled(
    how: dict[str, Any], emulator: EmulatorServer, tmp_path: Path
) -> None:
    """So few that they go page by page, in the same try."""
    emulator.change_settings(bulk_batch_limit=2, bulk_batch_rows=100)
    ran = Task().run(creating(people(500), tmp_path, **BULK, **how))

    assert (ran.error, ran.counts) == (None, {"created": 500})
    assert len(by_external_id(emulator)) == 500


def test_a_limit_that_is_reached_between_two_jobs_holds_the_rest_back(
    emulator: EmulatorServer, tmp_path: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job that runs is still waited for and its results are fetched: neither is a write."""
    monkeypatch.setattr("airflow_provider_sfleads.pipeline.staging.MAX_ROWS", 300)
    connect(extra={"max_api_usage": 0.8})
    task, is_busy = Task(), threading.Event()
    is_busy.set()
    emulator.change_settings(bulk_delay=2.0)

    def use_up(sight: Sight) -> None:
        if sight.method == "PATCH" and is_busy.is_set():
            emulator.set_api_usage(110_000)

    emulator.watch(use_up)
    first = task.run(creating(people(4_000), tmp_path, **PLAIN))
    why = reasons(first)
    is_busy.clear()
    emulator.set_api_usage(10)
    emulator.change_settings(bulk_delay=0.0)
    second = task.run(creating(people(4_000), tmp_path, **PLAIN))

    assert first.counts == {"created": 2_000, "not_sent": 2_000}
    assert why == {"api_usage_limit"}
    assert (second.error, second.counts, len(emulator.leads())) == (None, {"created": 4_000}, 4_000)
    assert "Open" not in {job["state"] for job in emulator.jobs()}
