from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG

from tests.integration.support import (
    Record,
    Task,
    by_external_id,
    creating,
    killed_at_write,
    leads,
    moving,
    no_retry,
    people,
    report_of,
    results_of,
    run,
    try_of,
    writes,
)
from tests.integration.test_bulk_account import at_request

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from tests.conftest import RunDag

pytestmark = [pytest.mark.usefixtures("salesforce_conn"), pytest.mark.whole_way]

NEARLY_ALL = 110_000
NO_REQUESTS_LEFT: dict[str, Any] = {
    "status": 403,
    "reply": [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded."}],
}
RETRY: dict[str, Any] = {"retries": 1, "retry_delay": timedelta(0)}


def test_a_retry_goes_on_in_the_same_folder_and_sends_nothing_twice(
    run_dag: RunDag, emulator: EmulatorServer, tmp_path: Path
) -> None:
    """The final report covers both tries, each row once."""
    rows = [*people(500), {"key": "", "last": "x", "company": "x"}, *people(1), *people(1_500, start=500)]

    def calm_down(_context: object) -> None:
        calm.append(1)
        emulator.set_api_usage(100)

    calm: list[int] = []
    at_request(emulator, "POST", "/composite/sobjects", 4, lambda: emulator.set_api_usage(NEARLY_ALL))
    with DAG("retry_sends_the_rest", schedule=None) as dag:
        creating(
            rows,
            tmp_path,
            api="collections",
            max_rejects=1,
            concurrency=1,
            on_retry_callback=calm_down,
            **RETRY,
        )
    dag_run = run_dag(dag)

    report = report_of(dag_run, "create")
    found = results_of(report)
    assert (dag_run.state, try_of(dag_run, "create")) == ("success", ("success", 2))
    assert calm
    assert (report["read"], report["created"], report["rejected"], report["duplicate_keys"]) == (2_002, 2_000, 1, 1)
    assert (report["attempts"], report["token_requests"]) == (2, 2)
    assert report["api_calls"] == sum(emulator.stats()["calls"].values()) - 2
    assert len(found) == 2_002
    assert {row["attempt"] for row in found} == {1, 2}
    # Where Airflow has no state store, the journal lies beside.
    assert sum(path.is_dir() for path in tmp_path.glob("*/*/*/*/*")) == 1
    assert sum(request["records"] for request in writes(emulator)) == 2_000
    assert not list(tmp_path.rglob("_staging"))


def test_too_many_rejects_fail_the_task_without_a_retry(
    run_dag: RunDag, emulator: EmulatorServer, tmp_path: Path
) -> None:
    """What was rejected would be rejected again; the report is there all the same."""
    retried: list[object] = []
    with DAG("rejects_are_final", schedule=None) as dag:
        creating([*people(3), {"key": "x"}], tmp_path, on_retry_callback=retried.append, **RETRY)
    dag_run = run_dag(dag)

    report = report_of(dag_run, "create")
    assert (dag_run.state, try_of(dag_run, "create")) == ("failed", ("failed", 1))
    assert retried == []
    assert (report["created"], report["rejected"], report["attempts"]) == (3, 1, 1)
    assert emulator.stats()["leads"] == 3


def test_rejects_beside_rows_that_were_not_sent_do_not_keep_airflow_from_trying_again(
    run_dag: RunDag, emulator: EmulatorServer, tmp_path: Path
) -> None:
    """The second try sends the rest, and only then do the rejects fail the task for good."""
    emulator.seed_leads(leads(people(3)))
    emulator.add_fault("status", method="PATCH", path="/composite/sobjects", times=1, **NO_REQUESTS_LEFT)
    with DAG("rejects_and_rows_not_sent", schedule=None) as dag:
        moving(people(4), tmp_path, **RETRY | {"retries": 5})
    dag_run = run_dag(dag)

    report = report_of(dag_run, "move")
    assert (dag_run.state, try_of(dag_run, "move")) == ("failed", ("failed", 2))
    assert (report["updated"], report["rejected"], report["not_sent"], report["attempts"]) == (3, 1, 0, 2)


def test_airflow_tries_again_as_often_as_it_is_told_and_the_last_report_is_the_one_that_counts(
    run_dag: RunDag, emulator: EmulatorServer, tmp_path: Path
) -> None:
    """A task that never gets through ends failed, with every row accounted for."""
    emulator.add_fault("invalid_session", method="POST", path="/composite/sobjects")
    with DAG("never_through", schedule=None) as dag:
        creating(people(3), tmp_path, **RETRY)
    dag_run = run_dag(dag)

    report = report_of(dag_run, "create")
    assert (dag_run.state, try_of(dag_run, "create")) == ("failed", ("failed", 2))
    assert (report["not_sent"], report["attempts"]) == (3, 2)
    assert [row["attempt"] for row in results_of(report)] == [2, 2, 2]


@pytest.mark.parametrize(
    "spoil",
    [{"key": "nothing"}, {"fields": {"last": "NoSuch__c"}}, {"dry_run": "maybe"}],
    ids=lambda spoil: next(iter(spoil)),
)
def test_what_no_retry_can_mend_fails_at_once(run_dag: RunDag, tmp_path: Path, spoil: Record) -> None:
    """Mistakes in the Dag stay mistakes."""
    with DAG("mistaken", schedule=None) as dag:
        creating(people(3), tmp_path, **RETRY | spoil)
    dag_run = run_dag(dag)

    assert (dag_run.state, try_of(dag_run, "create")) == ("failed", ("failed", 1))


def test_a_killed_worker_s_rows_are_created_once_and_counted_as_created(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """The retry tells the leads that the killed try made from those that were there before."""
    emulator.seed_leads(leads(people(10)))
    task = Task()
    killed_at_write(creating(people(6_000), tmp_path, api="collections"), task, emulator, 3)
    made = emulator.stats()["leads"]
    ran = task.run(creating(people(6_000), tmp_path))

    assert 10 < made < 6_000
    assert len(by_external_id(emulator)) == 6_000
    assert ran.full["attempts"] == 2
    assert ran.error is None
    assert ran.counts == {"created": 5_990, "unchanged": 10}


def test_a_killed_worker_s_moves_are_not_repeated(emulator: EmulatorServer, tmp_path: Path) -> None:
    """The retry reads where each lead stands, and moves the rest."""
    emulator.seed_leads(leads(people(6_000)))
    task = Task()
    killed_at_write(moving(people(6_000), tmp_path, api="collections"), task, emulator, 3)
    ran = task.run(moving(people(6_000), tmp_path))

    stages = [step for step in emulator.history() if step["field"] == "Lead_Stage__c"]
    assert (ran.full["read"], ran.full["attempts"], ran.error) == (6_000, 2, None)
    assert len(stages) == 6_000


def test_a_killed_worker_without_external_id_creates_no_lead_twice(emulator: EmulatorServer, tmp_path: Path) -> None:
    """A page that may have been sent is not sent again where nothing in Salesforce could refuse it."""
    task = Task()
    plain = {"external_id_field": None}
    killed_at_write(creating(people(6_000), tmp_path, api="collections", **plain), task, emulator, 3)
    task.run(creating(people(6_000), tmp_path, **plain))

    names = [lead["LastName"] for lead in emulator.leads()]
    assert len(set(names)) == len(names)


def test_a_row_whose_first_sending_went_through_is_created_also_when_the_retry_finds_out(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """`already_exists` is for leads that were there before the task."""
    task = Task()
    emulator.seed_leads(leads(people(1)))
    emulator.add_fault("drop_after", method="POST", path="/composite/sobjects", nth=1)
    emulator.add_fault("status", path="/composite/sobjects|/query", **NO_REQUESTS_LEFT)
    first = task.run(creating(people(10), tmp_path))
    assert emulator.stats()["leads"] == 10
    assert first.counts == {"not_sent": 10}
    assert {row["reason"] for row in first.rows} == {"outcome_unknown"}
    assert not no_retry(first.error)
    emulator.clear_faults()
    second = task.run(creating(people(10), tmp_path))

    assert second.error is None
    assert second.counts == {"created": 9, "unchanged": 1}


def test_a_page_whose_answer_is_lost_each_time_is_looked_up_and_settled_at_once(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """A lead that is found needs no retry to be known of."""
    emulator.seed_leads(leads(people(1)))
    emulator.add_fault("drop_after", method="POST", path="/composite/sobjects", times=5)
    ran = run(creating(people(10), tmp_path))

    assert ran.error is None
    assert ran.counts == {"created": 9, "unchanged": 1}
    assert ran.by_key["K-0"]["reason"] == "already_exists"


@pytest.mark.parametrize("effect", ["drop_before", "drop_after", "truncate", "drop_then_commit"])
def test_a_lost_answer_is_asked_for_again_and_counts_as_created(
    emulator: EmulatorServer, tmp_path: Path, effect: str
) -> None:
    """With an external ID a page can be sent again: Salesforce refuses what it has."""
    emulator.seed_leads(leads(people(5)))
    emulator.add_fault(effect, method="POST", path="/composite/sobjects", nth=2, seconds=0.2)
    ran = run(creating(people(600), tmp_path, concurrency=1))

    assert len(by_external_id(emulator)) == 600
    assert ran.counts == {"created": 595, "unchanged": 5}


def test_rows_of_one_lead_count_once_over_a_retry(emulator: EmulatorServer, tmp_path: Path) -> None:
    """A row that turned out to mean a lead taken before is settled as such for the next try."""
    ids = emulator.seed_leads(leads(people(2)))
    rows: list[Record] = [{"key": "by id", "id": ids[0]}, {"key": "K-0", "id": None}, {"key": "K-1", "id": None}]
    task = Task()
    emulator.add_fault(
        "status",
        method="PATCH",
        body=ids[1],
        times=1,
        **NO_REQUESTS_LEFT,
    )
    first = task.run(moving(rows, tmp_path, lead_id="id", batch_size=1, concurrency=1))
    second = task.run(moving(rows, tmp_path, lead_id="id", batch_size=1, concurrency=1))

    assert first.counts == {"updated": 1, "duplicate_keys": 1, "not_sent": 1}
    assert second.counts == {"updated": 2, "duplicate_keys": 1}


def test_rows_count_once_over_a_retry_whose_query_gives_them_in_another_order(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """Without ORDER BY a warehouse may give the other of two spellings of a key first."""
    rows = [{"key": "ab", "last": "A", "company": "X"}, {"key": "AB", "last": "A", "company": "X"}, *people(1)]
    task = Task()
    emulator.add_fault(
        "status",
        method="POST",
        path="/composite/sobjects",
        body="K-0",
        times=1,
        **NO_REQUESTS_LEFT,
    )
    first = task.run(creating(rows, tmp_path, batch_size=1, concurrency=1))
    second = task.run(creating(rows[::-1], tmp_path, batch_size=1, concurrency=1))

    assert first.counts == {"created": 1, "duplicate_keys": 1, "not_sent": 1}
    assert second.full["read"] == 3


def test_a_cleared_task_without_external_id_creates_no_lead_twice(emulator: EmulatorServer, tmp_path: Path) -> None:
    """The results of the execution before say which rows have their lead."""
    task = Task()
    task.run(creating(people(10), tmp_path, external_id_field=None))
    task.run(creating(people(12), tmp_path, external_id_field=None))

    assert emulator.stats()["leads"] == 12


def test_a_retry_goes_on_with_what_was_read_and_a_mended_mapping_reads_anew(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """What changed in the export meanwhile waits for the next run; what is mended in the mapping does not."""
    task = Task()
    emulator.add_fault("status", nth=2, path="/composite/sobjects", times=1, **NO_REQUESTS_LEFT)
    how: dict[str, Any] = {"api": "collections", "concurrency": 1}
    first = task.run(creating(people(400), tmp_path, **how))
    assert first.counts == {"created": 200, "not_sent": 200}
    emulator.add_fault("status", nth=1, path="/composite/sobjects", times=1, **NO_REQUESTS_LEFT)
    second = task.run(creating(people(400, company="New"), tmp_path, **how))
    assert (second.counts, second.full["attempts"]) == ({"created": 200, "not_sent": 200}, 2)
    mended = {"fields": {"last": "LastName", "company": "Company", "key": "Description"}}
    third = task.run(creating(people(400), tmp_path, **how | mended))

    assert (third.error, third.counts, third.full["attempts"]) == (None, {"created": 200, "unchanged": 200}, 1)
    assert sum(lead["Description"] is not None for lead in emulator.leads()) == 200


def test_a_task_that_is_stopped_sends_no_further_page_and_is_resumed(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Somebody marks it failed in the UI: what is in flight is still recorded, the rest says why it waits."""
    task = Task()
    operator = creating(people(2_000), tmp_path, api="collections", concurrency=1)
    at_request(emulator, "POST", "/composite/sobjects", 2, operator.on_kill)
    first = task.run(operator)
    assert first.counts == {"created": 400, "not_sent": 1_600}
    assert {row["reason"] for row in first.rows if row["action"] == "not_sent"} == {"stopped"}
    assert not no_retry(first.error)
    second = task.run(creating(people(2_000), tmp_path, api="collections"))

    assert second.counts == {"created": 2_000}
