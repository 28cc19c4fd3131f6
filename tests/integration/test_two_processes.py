"""Airflow begins another try while the process of the first is only frozen: what that one does once it wakes."""

from __future__ import annotations

import os
import re
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.frozen import Frozen, SharedStore, freezing_at, waking_at
from tests.integration.support import Ran, Rows, Task, creating, leads, moving, people, results_of
from tests.integration.test_unknown_outcomes import AT_ONCE, names, plain

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from airflow_provider_sfleads.emulator.watching import Sight

pytestmark = pytest.mark.usefixtures("salesforce_conn")

ROWS = 1_200
LIMIT = 120


@pytest.fixture(params=["store", "file"])
def task(request: pytest.FixtureRequest, tmp_path: Path) -> Task:
    """A task in an Airflow with a task state store, or without one."""
    store: Any = SharedStore(tmp_path) if request.param == "store" else None
    return Task(store=store)


def whole(ran: Ran, count: int) -> None:
    """A try that succeeded, with one line for each row, and a report that says the same."""
    assert ran.error is None
    assert ran.full["read"] == len(results_of(ran.full)) == count
    assert len({row["key"] for row in ran.rows}) == count


@pytest.mark.parametrize(("at", "woken_at"), [(450, 0), (450, 700), (1_190, 1_199)])
def test_a_plain_insert_makes_no_lead_twice(
    emulator: EmulatorServer, tmp_path: Path, task: Task, at: int, woken_at: int
) -> None:
    """The first process wakes while the second is sending: it finds itself disowned and sends nothing any more."""
    ended: list[int] = []
    results = tmp_path / "results"
    first = Frozen(plain(Rows(people(ROWS), before=freezing_at(at)), results, late=AT_ONCE), task)
    first.wait_until_frozen()
    rows = Rows(people(ROWS), before=waking_at(woken_at, lambda: first, ended))
    ran = task.run(plain(rows, results, late=AT_ONCE))
    whole(ran, ROWS)
    assert ended == [1]
    assert ran.counts == {"created": ROWS}
    assert len(names(emulator)) == len(set(names(emulator))) == ROWS


@pytest.mark.parametrize("how", ["keyed", "stage"])
def test_the_results_hold_one_line_for_each_row(emulator: EmulatorServer, tmp_path: Path, task: Task, how: str) -> None:
    """No lead doubles with a key; but neither may a line, a part or the report."""
    ended: list[int] = []
    results, people_ = tmp_path / "results", people(ROWS)
    make = creating if how == "keyed" else moving
    if how == "stage":
        emulator.seed_leads(leads(people_))
    more: dict[str, Any] = {"api": "collections", "concurrency": 2, "batch_size": 50}
    first = Frozen(make(Rows(people_, before=freezing_at(600)), results, **more), task)
    first.wait_until_frozen()
    rows = Rows(people_, before=waking_at(900, lambda: first, ended))
    ran = task.run(make(rows, results, **more))
    whole(ran, ROWS)
    assert ended == [1]
    assert ran.full["attempts"] == 2
    assert len(emulator.leads()) == ROWS


@pytest.mark.parametrize("phase", ["arrived", "done"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/jobs/ingest$"), ("PUT", "/batches$"), ("PATCH", "/jobs/ingest/"), ("GET", "/jobs/ingest/7")],
)
def test_a_bulk_load_is_sent_once(emulator: EmulatorServer, tmp_path: Path, method: str, path: str, phase: str) -> None:
    """Wherever in the life of its job a process freezes: there is no lead twice, and one report."""
    results, stopped, store = tmp_path / "results", threading.Event(), SharedStore(tmp_path)
    task = Task(store=store)  # type: ignore[arg-type]
    running: list[int] = []

    def see(sight: Sight) -> None:
        if sight.method == method and sight.phase == phase and re.search(path, sight.target) and running:
            os.kill(running.pop(), signal.SIGSTOP)
            stopped.set()

    emulator.watch(see)
    emulator.change_settings(bulk_delay=0.2)
    first = Frozen(plain(Rows(people(3_000), before=_begins), results, late=AT_ONCE, api="bulk"), task)
    running.append(first.pid)
    first.wait_until_frozen()
    os.kill(first.pid, signal.SIGCONT)
    assert stopped.wait(LIMIT)
    ran = task.run(plain(people(3_000), results, late=AT_ONCE, api="bulk"))
    while ran.error is not None and task.tries < 4:
        ran = task.run(plain(people(3_000), results, late=AT_ONCE, api="bulk"))
    report = (results / "leads" / task.run_id).rglob("report.json")
    before = {path: path.read_text() for path in report}
    first.wake()
    whole(ran, 3_000)
    assert {path: path.read_text() for path in before} == before
    assert len(names(emulator)) == len(set(names(emulator))) == 3_000


def _begins(number: int) -> None:
    """Freeze at the first row, until the test is ready to look on."""
    if number == 0 and threading.current_thread() is threading.main_thread():
        os.kill(os.getpid(), signal.SIGSTOP)
