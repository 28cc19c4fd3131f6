"""A task that is cleared, or whose worker dies behind its report: what it did before is still done."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa  # noqa: TID253 - no Dag file
import pyarrow.parquet as pq  # noqa: TID253
import pytest

from airflow_provider_sfleads.core.report import SyncReport, again, shown
from airflow_provider_sfleads.reports.__main__ import main
from tests.integration.dying import Point, dies
from tests.integration.support import (
    Ran,
    Record,
    Task,
    creating,
    killed,
    leads,
    moving,
    people,
)
from tests.integration.test_unknown_outcomes import AT_ONCE, plain

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

pytestmark = pytest.mark.usefixtures("salesforce_conn")

APIS = ("collections", "bulk")
FIRST, MORE = 95, 40


def account(ran: Ran, *names: str) -> list[tuple[int, ...]]:
    """Some counts of each execution that a report tells of."""
    return [tuple(each[name] for name in names) for each in ran.full["executions"]]


def told(ran: Ran) -> tuple[int, str]:
    """How many leads people are told were created, and how often the task ran anew."""
    report = SyncReport.from_json(ran.full)
    return shown(report)["created"], again(report)


def printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> Record:
    """What the command says of the only task there is."""
    capsys.readouterr()
    assert main([str(folder), "--json"]) == 0
    said: Record = json.loads(capsys.readouterr().out)
    return said


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("journal", ["store", "file"])
def test_clearing_a_green_night_takes_nothing_back(
    emulator: EmulatorServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], api: str, journal: str
) -> None:
    """Cleared twice: the report of each execution is its own, and tells what each of those before it did."""
    context = {} if journal == "store" else {"task_state_store": None}
    task = Task(context=context)
    first = task.run(creating(people(FIRST), tmp_path, api=api))
    assert (told(first), account(first, "read", "created")) == ((FIRST, ""), [(FIRST, FIRST)])

    second = task.run(creating(people(FIRST + MORE), tmp_path, api=api))
    assert second.counts == {"created": MORE, "unchanged": FIRST}
    assert account(second, "created", "unchanged") == [(FIRST, 0), (MORE, FIRST)]
    assert told(second) == (FIRST + MORE, "cleared once")

    third = task.run(creating(people(FIRST + MORE), tmp_path, api=api))
    assert (third.counts, told(third)) == ({"unchanged": FIRST + MORE}, (FIRST + MORE, "cleared twice"))
    assert [each["execution"] for each in third.full["executions"]] == [
        ran.folder.name for ran in (first, second, third)
    ]
    said = printed(tmp_path, capsys)
    assert [(each["read"], each["created"], each["again"]) for each in said["reports"]] == [
        (FIRST + MORE, len(emulator.leads()), "cleared twice")
    ]
    assert (said["live"]["syncs"], said["live"]["created"]) == (1, FIRST + MORE)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    "point",
    [
        Point(at="airflow_provider_sfleads.results.folder:ResultsFolder.write_report"),
        Point(at="airflow_provider_sfleads.operators.journal:Journal.keep", which=lambda execution: not execution.open),
        Point(at="airflow_provider_sfleads.results.folder:ResultsFolder.remove_staging"),
    ],
    ids=["report written", "journal closed", "staging removed"],
)
def test_a_worker_that_dies_behind_its_report_takes_nothing_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], api: str, point: Point
) -> None:
    """Whether its retry goes on with the execution or begins another, what was created is told once."""
    task = Task(context={"task": creating(people(1), tmp_path, retries=2)}, max_tries=2)
    dies(monkeypatch, point)
    killed(creating(people(FIRST), tmp_path, api=api), task)
    ran = task.run(creating(people(FIRST), tmp_path, api=api))

    is_new = len(ran.full["executions"]) == 2
    assert (ran.error, ran.full["created"]) == (None, 0 if is_new else FIRST)
    assert told(ran) == (FIRST, "tried again once" if is_new else "")
    assert printed(tmp_path, capsys)["live"]["created"] == FIRST
    task.max_tries = task.tries + 2
    cleared = task.run(creating(people(FIRST + MORE), tmp_path, api=api))
    assert told(cleared) == (FIRST + MORE, "cleared once" + (", tried again once" if is_new else ""))


@pytest.mark.parametrize("api", APIS)
def test_moves_add_up_as_well(emulator: EmulatorServer, tmp_path: Path, api: str) -> None:
    """Of a stage task, too."""
    emulator.seed_leads(leads(people(FIRST + MORE)))
    task = Task()
    task.run(moving(people(FIRST), tmp_path, api=api))
    ran = task.run(moving(people(FIRST + MORE), tmp_path, api=api))
    assert (ran.counts, account(ran, "updated")) == ({"updated": MORE, "unchanged": FIRST}, [(FIRST,), (MORE,)])


def test_a_dry_run_adds_nothing_and_hides_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Between live executions and behind them."""
    task = Task()
    task.run(creating(people(FIRST), tmp_path))
    dry = task.run(creating(people(FIRST + MORE), tmp_path, dry_run=True))
    assert told(dry) == (0, "")
    assert account(dry, "created", "would_create") == [(FIRST, 0), (0, MORE)]
    live = task.run(creating(people(FIRST + MORE), tmp_path))
    assert told(live) == (FIRST + MORE, "cleared once")
    task.run(creating(people(FIRST + MORE), tmp_path, dry_run=True))
    said = printed(tmp_path, capsys)
    assert (said["live"]["created"], said["dry_run"]["created"], said["dry_run"]["would_create"]) == (
        FIRST + MORE,
        0,
        0,
    )


def test_mapped_instances_and_runs_are_apart(tmp_path: Path) -> None:
    """Nothing is added up over them."""
    for map_index, run_id in ((0, "one"), (1, "one"), (0, "two")):
        ran = Task(run_id=run_id, map_index=map_index).run(creating(people(3), tmp_path))
        assert len(ran.full["executions"]) == 1


def test_a_failed_execution_counts_too(emulator: EmulatorServer, tmp_path: Path) -> None:
    """One that failed on rejects is over; what it created is there."""
    task = Task()
    failed = task.run(creating([*people(FIRST), {"key": "bad", "last": "", "company": "Acme"}], tmp_path))
    assert failed.error is not None
    ran = task.run(creating(people(FIRST + MORE), tmp_path))
    assert (told(ran)[0], ran.full["rejected"]) == (FIRST + MORE, 0)
    assert len(emulator.leads()) == FIRST + MORE


@pytest.mark.parametrize("lost", ["everything", "the results", "the report"])
def test_what_is_lost_is_not_told_twice(emulator: EmulatorServer, tmp_path: Path, lost: str) -> None:
    """Where records of a plain insert are lost, the next execution finds what became of each row, and counts it."""
    task = Task()
    first = task.run(plain(people(FIRST), tmp_path))
    if lost == "everything":
        shutil.rmtree(first.folder)
    for path in first.folder.glob("report.json" if lost == "the report" else "results-*"):
        path.unlink()
    for _ in range(2):
        ran = task.run(plain(people(FIRST + MORE), tmp_path, late=AT_ONCE))
        assert (ran.error, told(ran)[0], len(emulator.leads())) == (None, FIRST + MORE, FIRST + MORE)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("lost", ["results-*", "report.json"])
def test_what_a_report_or_the_results_still_say_is_told(tmp_path: Path, lost: str, api: str) -> None:
    """Of a keyed load, whose leads are simply there; either of both is enough."""
    task = Task()
    first = task.run(creating(people(FIRST), tmp_path, api=api))
    for path in first.folder.glob(lost):
        path.unlink()
    for _ in range(2):
        assert told(task.run(creating(people(FIRST + MORE), tmp_path, api=api)))[0] == FIRST + MORE


@pytest.mark.parametrize("column", ["action", "deleted", "none", "a number", "a list"])
def test_results_of_somebody_else_stop_no_later_execution(tmp_path: Path, column: str) -> None:
    """Where an execution left no report and its results are not ours, nobody can tell what it did."""
    task = Task()
    first = task.run(creating(people(FIRST), tmp_path))
    (part,) = first.folder.glob("results-*")
    (first.folder / "report.json").unlink()
    values = {"deleted": "deleted", "none": None, "a number": 5, "a list": ["created"]}
    table = pq.read_table(part).drop_columns(["action"])
    if column in values:
        table = table.append_column("action", pa.array([values[column]] * FIRST))
    pq.write_table(table, part)
    ran = task.run(creating(people(FIRST + MORE), tmp_path))
    assert (ran.error, ran.counts, told(ran)[0]) == (None, {"created": MORE, "unchanged": FIRST}, MORE)


def test_a_retry_behind_lost_records_tells_nothing_twice(emulator: EmulatorServer, tmp_path: Path) -> None:
    """It takes for its own what it finds and nobody recorded, and not what the execution before it did."""
    task = Task()
    task.run(creating(people(FIRST), tmp_path))
    emulator.add_fault("status", nth=2, status=403, reply=[{"errorCode": "NO", "message": "no"}], path="/composite/so")
    broken = task.run(creating(people(FIRST + MORE), tmp_path, batch_size=100, concurrency=1))
    assert broken.full["not_sent"]
    emulator.clear_faults()
    shutil.rmtree(broken.folder)
    ran = task.run(creating(people(FIRST + MORE), tmp_path))
    assert (ran.error, told(ran)[0], len(emulator.leads())) == (None, FIRST + MORE, FIRST + MORE)


def test_earlier_numbers_are_told_before_there_is_a_report(tmp_path: Path) -> None:
    """Airflow has removed the report by then, and the new one may never come."""
    task = Task()
    task.run(creating(people(FIRST), tmp_path))
    ran = task.run(creating(people(FIRST), tmp_path, external_id_field="None__c"))
    assert ran.error is not None
    assert [each["created"] for each in task.pushed["earlier_executions"]] == [FIRST]
