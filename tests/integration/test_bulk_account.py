"""The account of a bulk run: the address of each lead that is known, and every row, whatever ends the run."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG

from airflow_provider_sfleads.emulator import ids
from airflow_provider_sfleads.exports import FileExport
from tests.integration.support import (
    COUNTS,
    Record,
    Rows,
    Task,
    creating,
    leads,
    moving,
    people,
    results_of,
    run,
    wait_for,
)

if TYPE_CHECKING:
    from types import FrameType

    from airflow_provider_sfleads.emulator import EmulatorServer
    from airflow_provider_sfleads.emulator.watching import Sight
    from airflow_provider_sfleads.operators.base import LeadSyncOperator
    from tests.conftest import RunDag

pytestmark = pytest.mark.usefixtures("salesforce_conn")


@pytest.fixture(autouse=True)
def _interruptible() -> Iterator[None]:
    """What a shell runs in the background ignores SIGINT; not here."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


PLAIN: dict[str, Any] = {"external_id_field": None, "api": "bulk"}
LIMIT = [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded."}]


def test_a_line_has_the_address_of_its_lead_where_the_lead_is_known(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Of leads that are moved, of those that are refused and of those that are not sent."""
    lead_ids = emulator.seed_leads(leads(people(300)))
    emulator.change_settings(bulk_fail_after=100)
    rows = [{"key": f"r{n}", "id": lead_id, "owner": ids.SALES_USER_ID} for n, lead_id in enumerate(lead_ids)]
    rows[0]["owner"] = ids.INACTIVE_USER_ID
    odd = {"key": "odd", "id": "no id", "owner": ids.SALES_USER_ID}
    more: Record = {"external_id_field": None, "lead_id": "id", "fields": {"owner": "OwnerId"}, "api": "bulk"}
    more |= {"assignment_rule": None}
    ran = run(moving([*rows, odd], tmp_path, max_rejects=2, **more))

    assert ran.counts == {"updated": 99, "not_sent": 200, "rejected": 2}
    known = {str(row["key"]): f"{emulator.url}/lightning/r/Lead/{row['id']}/view" for row in rows}
    assert {row["key"]: row["lead_url"] for row in ran.rows} == known | {"odd": None}


def test_a_line_has_no_address_where_no_lead_is_known(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Of people who became no lead."""
    emulator.change_settings(bulk_fail_after=100)
    rows = [*people(300), {"key": "bad", "last": None, "company": "Acme"}]
    ran = run(creating(rows, tmp_path, max_rejects=1, **PLAIN))

    assert ran.counts == {"created": 100, "not_sent": 200, "rejected": 1}
    assert {row["action"] for row in ran.rows if row["lead_url"] is None} == {"not_sent", "rejected"}
    assert all((row["lead_url"] is None) == (row["salesforce_id"] is None) for row in ran.rows)


def broken(operator: LeadSyncOperator, task: Task, folder: Path) -> Record:
    """The report of a try that a KeyboardInterrupt ends."""
    with pytest.raises(KeyboardInterrupt):
        task.run(operator)
    return reported(folder)


def reported(folder: Path) -> Record:
    """The one report below a folder; its counts add up, and are those of the results."""
    (path,) = folder.rglob("report.json")
    report: Record = json.loads(path.read_text())
    assert report["read"] == sum(report[name] for name in COUNTS) == len(results_of(report))
    return report


def at_request(emulator: EmulatorServer, method: str, path: str, nth: int, act: Callable[[], object]) -> None:
    """Act as soon as the n-th such request has arrived."""
    seen: list[int] = []

    def look(sight: Sight) -> None:
        if sight.phase == "arrived" and sight.method == method and re.search(path, sight.target):
            seen.append(sight.number)
            if len(seen) == nth:
                act()

    emulator.watch(look)


def interrupt() -> None:
    """What Ctrl-C does, and much like what Airflow does at the end of ``execution_timeout``, while the task waits."""

    def strike() -> None:
        assert wait_for(lambda: _top_frame(threading.main_thread()).f_code.co_name in ("wait", "_wait_for_tstate_lock"))
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=strike).start()


def _top_frame(thread: threading.Thread) -> FrameType:
    """Where a thread is just now."""
    assert thread.ident is not None
    return sys._current_frames()[thread.ident]


def test_an_interrupt_while_the_export_is_read(emulator: EmulatorServer, tmp_path: Path) -> None:
    """What was read by then is not sent, and the next try begins anew."""

    def stop(number: int) -> None:
        if number == 30_000:
            raise KeyboardInterrupt

    task = Task()
    report = broken(creating(Rows(people(40_000), before=stop), tmp_path, **PLAIN), task, tmp_path)
    ran = task.run(creating(people(300), tmp_path, **PLAIN))

    assert report["not_sent"] == report["read"] == 30_000
    assert (ran.error, ran.counts, len(emulator.leads())) == (None, {"created": 300}, 300)


@pytest.mark.parametrize("times", [1, 2])
def test_an_interrupt_while_a_job_is_waited_for(times: int, emulator: EmulatorServer, tmp_path: Path) -> None:
    """The job is aborted, and the next try sends its rows; interrupted once more meanwhile, all are accounted for."""
    emulator.change_settings(bulk_delay=3_600.0)
    rows = [*people(300), *people(20, start=300, last="#N/A"), {"key": "bad", "last": None, "company": "Acme"}]
    task = Task()

    def strike(sight: Sight) -> None:
        is_poll = sight.method == "GET" and "/jobs/ingest/" in sight.target
        is_abort = sight.method == "PATCH" and b"Aborted" in bytes(sight.body)
        if sight.phase == "arrived" and ((is_poll and not struck) or (is_abort and len(struck) < times)):
            struck.append(sight.number)
            interrupt()

    struck: list[int] = []
    emulator.watch(strike)
    report = broken(creating(rows, tmp_path, max_rejects=1, **PLAIN), task, tmp_path)
    reasons = [row["reason"] for row in results_of(report)]
    states = [job["state"] for job in emulator.jobs()]
    emulator.change_settings(bulk_delay=0.0)
    ran = task.run(creating(rows, tmp_path, max_rejects=1, **PLAIN))

    assert len(struck) == times
    assert (report["not_sent"], report["rejected"], states) == (320, 1, ["Aborted"])
    assert reasons.count("stopped") == 320
    assert (ran.error, ran.counts, len(emulator.leads())) == (None, {"created": 320, "rejected": 1}, 320)


@pytest.mark.usefixtures("airflow_db")
def test_an_execution_timeout_aborts_the_job_and_settles_what_it_did(
    run_dag: RunDag, emulator: EmulatorServer, tmp_path: Path
) -> None:
    """Airflow raises in the middle of the wait, and calls no ``on_kill``; the account is that of the org."""
    # The task begins to send well before its time is over, and the job does not end before.
    emulator.change_settings(bulk_rate=200.0)
    export = tmp_path / "people.jsonl"
    export.write_text("\n".join(map(json.dumps, people(6_000))))
    with DAG("timed_out", schedule=None) as dag:
        limit = timedelta(seconds=20)
        creating(FileExport(str(export)), tmp_path / "results", execution_timeout=limit, retries=0, **PLAIN)
    state = run_dag(dag).state

    report, made = reported(tmp_path), len(emulator.leads())
    assert state == "failed"
    assert [job["state"] for job in emulator.jobs()] == ["Aborted"]
    assert 0 < made == report["created"]
    assert report["not_sent"] == 6_000 - made
    assert {row["reason"] for row in results_of(report)} == {None, "stopped"}


def test_an_interrupt_while_the_tail_is_sent(emulator: EmulatorServer, tmp_path: Path) -> None:
    """In its second try, too: no row is counted twice, and those that it did not come to are not sent."""
    emulator.add_fault("status", path="/composite/sobjects", nth=2, status=403, reply=LIMIT)
    rows = people(3_000, last="#N/A")
    task = Task()
    first = task.run(creating(rows, tmp_path, **PLAIN, concurrency=1))
    before = first.counts
    emulator.add_fault("delay", path="/composite/sobjects", seconds=0.5)
    at_request(emulator, "POST", "/composite/sobjects", 3, interrupt)
    report = broken(creating(rows, tmp_path, **PLAIN, concurrency=1), task, tmp_path)
    emulator.clear_faults()
    made = len(emulator.leads())
    ran = task.run(creating(rows, tmp_path, **PLAIN))

    assert before == {"created": 200, "not_sent": 2_800}
    assert (report["read"], report["created"]) == (3_000, made)
    assert 200 < made < 3_000
    assert (ran.error, ran.counts, len(emulator.leads())) == (None, {"created": 3_000}, 3_000)


def test_a_results_folder_that_cannot_be_written_while_a_job_is_settled(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """The report says what the results have; the next try brings the rest to its end."""
    report = blocked(emulator, tmp_path, "results-*.parquet", [f"results-{n:05}.parquet" for n in range(2, 9)])

    assert (report["read"], report["rejected"]) == (1, 1)


def test_a_step_that_breaks_off_half_way_counts_none_of_its_rows_twice(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """The job is over, but what it left out cannot be staged anew, so that nothing it says is recorded."""
    emulator.change_settings(bulk_fail_after=100)
    report = blocked(emulator, tmp_path, "load-*.arrow", ["load-00000-0-r1-n200.arrow"])

    assert (report["read"], report["rejected"], report["not_sent"]) == (301, 1, 300)
    assert {row["reason"] for row in report["rows"]} == {None, "outcome_unknown"}


def blocked(emulator: EmulatorServer, folder: Path, beside: str, names: list[str]) -> Record:
    """The report, and rows, of a try in which files cannot be written once the job is over; the next try can."""
    emulator.change_settings(bulk_delay=3_600.0)
    rows = [*people(300), {"key": "bad", "last": None, "company": "Acme"}]
    task = Task()
    in_the_way: list[Path] = []

    def block() -> None:
        in_the_way.extend(next(folder.rglob(beside)).with_name(name) for name in names)
        try:
            for path in in_the_way:
                path.mkdir()
        finally:
            emulator.finish_jobs()

    at_request(emulator, "GET", "/jobs/ingest/[^/]+$", 1, block)
    first = task.run(creating(rows, folder, max_rejects=1, **PLAIN))
    report = reported(folder)
    report["rows"] = results_of(report)
    for path in in_the_way:
        path.rmdir()
    emulator.change_settings(bulk_delay=0.0, bulk_fail_after=None)
    second = task.run(creating(rows, folder, max_rejects=1, **PLAIN))

    assert "Results cannot be written" in str(first.error)
    assert (second.error, second.counts, len(emulator.leads())) == (None, {"created": 300, "rejected": 1}, 300)
    return report
