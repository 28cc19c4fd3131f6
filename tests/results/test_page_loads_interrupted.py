"""Whatever breaks pages off, what is recorded is there once, and what is not is found by reading the results back."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from threading import Barrier, Event
from types import FrameType
from typing import Any

import pytest

import airflow_provider_sfleads
from airflow_provider_sfleads.core.outcome import Action, Outcome, UnansweredSend
from airflow_provider_sfleads.core.report import Tally
from airflow_provider_sfleads.core.uninterrupted import uninterrupted
from airflow_provider_sfleads.exceptions import DisownedError
from airflow_provider_sfleads.pipeline.plan import Candidate
from airflow_provider_sfleads.pipeline.prepare import prepare
from airflow_provider_sfleads.results.announced import Announcements
from airflow_provider_sfleads.results.earlier import EarlierRows
from airflow_provider_sfleads.results.folder import ResultsFolder
from airflow_provider_sfleads.results.recorded import recorded_outcomes
from airflow_provider_sfleads.results.writer import Recorder
from airflow_provider_sfleads.salesforce.wire import Call, Reply
from tests.pipeline.org import NOW as CREATED
from tests.pipeline.org import USER
from tests.pipeline.paging import NOW, EventfulOrg, Memory, Plan, Try
from tests.pipeline.runs import create_request, ground, new_row, scored, stage_request, taken_in

PACKAGE = str(Path(airflow_provider_sfleads.__file__).parent)


class Interrupted(BaseException):
    """Comes from outside, as Airflow's time-out does."""


class Strike:
    """Interrupts the main thread at the n-th line of the package that it comes to, as a signal may.

    :param within: only lines of files with one of these in their path count.
    """

    def __init__(self, at: int, *within: str) -> None:
        self.left, self.within = at, within or (PACKAGE,)

    def __call__(self, frame: FrameType, event: str, _: object) -> Any:  # noqa: ANN401 - a trace function
        """Count lines."""
        if not any(part in frame.f_code.co_filename for part in self.within):
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                raise Interrupted
        return self

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Strike in the block."""
        before = sys.gettrace()
        sys.settrace(self)
        try:
            yield
        finally:
            sys.settrace(before)


class Task:
    """A task that sends staged rows by pages, try by try, with the real records of its tries.

    :param base: where results go.
    :param how: how its tries are carried out.
    """

    recorder = Recorder
    part_rows = 7

    def __init__(self, base: Path, org: EventfulOrg, plan: Plan, rows: Sequence[Candidate], **how: Any) -> None:
        self.folder = ResultsFolder(base / "results", "dag", "run", "task", -1, "001")
        self.org, self.plan, self.rows, self.how, self.base = org, plan, rows, how, base
        self.tries = 0

    def attempt(self, strike: Strike | None = None, **how: Any) -> None:
        """Try the task; where it is broken off, account for what can be accounted for, and go on."""
        self.tries += 1
        strike = strike or Strike(0)
        with self.folder.writer(columns=("id",), resume=self.tries > 1, part_rows=self.part_rows) as writer:
            sink, stop = self.recorder(writer, salt=""), Event()
            try:
                with strike.watching():
                    self._send(sink, stop, breaks_off=False, **how)
            except DisownedError:
                raise
            except BaseException:
                stop.set()
                uninterrupted(partial(self._break_off, sink, stop))
                raise
        with EarlierRows(self.folder.staging(), self.plan.compare, repeatable=self.plan.repeatable) as rows:
            rows.conclude(self.folder)

    def _break_off(self, sink: Recorder, stop: Event) -> None:
        sink.flush()
        self._send(sink, stop, breaks_off=True)

    def _send(self, sink: Recorder, stop: Event, *, breaks_off: bool, **how: Any) -> None:
        announcements = Announcements(self.folder, self.plan.compare)
        staging = self.folder.staging()
        with EarlierRows(staging, self.plan.compare, repeatable=self.plan.repeatable) as earlier:
            if breaks_off or self.tries > 1:
                earlier.resume(self.folder, Tally(), within_try=breaks_off)
            folder = self.base / f"{self.tries}{breaks_off}"
            folder.mkdir()
            asked = {
                "plan": self.plan,
                "rows": self.rows,
                "memory": Memory(),
                "send": self.org.send,
                "folder": folder,
                "sink": sink,
                "earlier": earlier,
                "stop": stop,
                "note": lambda rows: announcements.announce(rows, UnansweredSend.at(NOW, USER)),
            }
            load = Try(**(asked | self.how | how))
            pieces = load.stage()
            load.pages = load.page_loads()
            if not breaks_off:
                load.pages.carry_out(pieces)
            load.send_rest(pieces)

    def outcomes(self) -> list[Outcome]:
        """What is recorded; each row once at most."""
        found = list(recorded_outcomes(self.folder))
        assert set(Counter(outcome.key for outcome in found).values()) <= {1}
        return found

    def audit(self) -> Counter[str]:
        """Check that each row is recorded once, and each lead with its row; how often there is which outcome."""
        found = self.outcomes()
        assert {outcome.key for outcome in found} == {row.key for row in self.rows}
        made = {lead["Id"] for lead in self.org.live() if lead["CreatedDate"] == CREATED}
        created = {outcome.salesforce_id for outcome in found if outcome.action is Action.CREATED}
        unknown = [outcome for outcome in found if outcome.reason == "outcome_unknown"]
        assert created <= made
        assert len(made) <= len(created) + len(unknown)
        return Counter(f"{o.action} {o.reason}" if o.reason else str(o.action) for o in found)


def creating(
    base: Path, count: int, *, known: int = 0, plan: dict[str, Any] | None = None, apart: bool = False, **how: Any
) -> Task:
    """A task that creates leads, some of which are known.

    :param apart: whether the rows are looked at one by one.
    """
    org, memory = EventfulOrg(), Memory()
    for number in range(known):
        org.add(External_Id__c=f"k{3 * number}", LastName="Old", Company="Acme")
    made = prepare(create_request(**(plan or {})), ground(("id", "name", "firm")))
    rows = [new_row(f"k{n}", f"Ray {n}") for n in range(count)]
    how |= {"apart": [True] * count} if apart else {}
    return Task(base, org, made, list(taken_in(made, memory, rows, lambda _settled: None)), **how)


def again_until_all_is_settled(task: Task) -> Counter[str]:
    """A second try settles the rest, and nothing twice."""
    task.org.limited, task.org.faults = False, {}
    task.attempt()
    counts = task.audit()
    assert not [outcome for outcome in task.outcomes() if outcome.action is Action.NOT_SENT]
    return counts


class Counting(Strike):
    """Strikes never, and counts the lines."""

    def __init__(self) -> None:
        super().__init__(-1)


def places(base: Path, make: Callable[[Path], Task], number: int) -> list[int]:
    """So many places where a try may be interrupted, spread over all of it."""
    counting = Counting()
    make(base / "counted").attempt(counting)
    most = -1 - counting.left
    chance = Random(7)
    return [chance.randrange(1 + most * n // number, 2 + most * (n + 1) // number) for n in range(number)]


MAKES: dict[str, Callable[[Path], Task]] = {
    "skip": lambda base: creating(base, 25, known=4, batch_size=5),
    "update": lambda base: creating(base, 25, known=8, plan={"existing": "update"}, batch_size=5),
    "plain": lambda base: creating(base, 25, plan={"external_id_field": None}, batch_size=5),
    "limit": lambda base: limited(creating(base, 25, batch_size=5, concurrency=1)),
    "apart": lambda base: creating(base, 25, known=8, plan={"existing": "update"}, batch_size=5, apart=True),
    "apart-plain": lambda base: creating(base, 25, plan={"external_id_field": None}, batch_size=5, apart=True),
    "apart-limit": lambda base: limited(creating(base, 25, batch_size=5, concurrency=1, apart=True)),
}


def limited(task: Task) -> Task:
    """The same, and Salesforce's limit is reached on the way."""
    task.org.faults = {3: "limit"}
    return task


@pytest.mark.parametrize("name", list(MAKES))
def test_a_time_out_anywhere_loses_and_doubles_nothing(tmp_path: Path, name: str) -> None:
    """Airflow raises it in the main thread, between any two lines."""
    make = MAKES[name]
    struck = 0
    for number, at in enumerate(places(tmp_path, make, 6)):
        task = make(tmp_path / f"{number}")
        try:
            task.attempt(Strike(at))
        except Interrupted:
            struck += 1
        task.audit()
        again_until_all_is_settled(task)
    assert struck >= 4


def test_a_time_out_while_outcomes_of_a_look_up_are_recorded(tmp_path: Path) -> None:
    """They are recorded, or not."""
    struck = 0
    files = ("pipeline/page_loads.py", "core/uninterrupted.py", "results/writer.py", "results/writer.py")
    for at in range(1, 140, 5):
        task = creating(tmp_path / f"{at}", 12, known=4, plan={"existing": "update"})
        for lead, number in zip(task.org.leads.values(), range(0, 12, 3), strict=True):
            lead["LastName"] = f"Ray {number}"
        task.rows = [row for row in task.rows if int(row.key[1:]) % 3 == 0]
        try:
            task.attempt(Strike(at, *files))
        except Interrupted:
            struck += 1
        assert set(task.audit()) <= {"unchanged same_values", "not_sent stopped"}
    assert struck >= 15


def test_what_was_left_before_something_broke_is_left_once(tmp_path: Path) -> None:
    """Rows that a limit had left unsent, and were recorded as that, are not recorded once more."""
    task, left = creating(tmp_path, 40, batch_size=5, concurrency=2), Event()

    class Telling(Recorder):
        def add(self, outcomes: Any) -> None:  # noqa: ANN401 - a batch
            super().add(outcomes)
            if "not_sent" in outcomes.column("action").to_pylist():
                left.set()

    def send(call: Call) -> Reply:
        if "Ray 7" in str(call.body):
            left.wait(60)
            raise RuntimeError("a bug")
        return task.org.send(call)

    task.recorder = Telling
    task.org.faults = {2: "limit"}
    with pytest.raises(RuntimeError, match="a bug"):
        task.attempt(send=send)
    counts = task.audit()
    assert counts["created"] == 5
    assert counts["not_sent outcome_unknown"] == 5
    assert counts["not_sent api_usage_limit"] > 0
    assert again_until_all_is_settled(task) == {"created": 40}


@pytest.mark.parametrize("apart", [False, True])
def test_a_look_up_that_breaks(tmp_path: Path, *, apart: bool) -> None:
    """Neither its rows nor any that wait for a full page are lost."""
    task = creating(tmp_path, 4_100, plan={"existing": "update"}, batch_size=150, size=900, apart=apart)
    reads, task.part_rows = iter(range(9)), 10_000

    def send(call: Call) -> Reply:
        if not call.write and next(reads) == 1:
            raise KeyError("surprise")
        return task.org.send(call)

    with pytest.raises(KeyError, match="surprise"):
        task.attempt(send=send)
    assert set(task.audit()) <= {"created", "not_sent stopped"}
    assert again_until_all_is_settled(task) == {"created": 4_100}


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("plan", [{}, {"external_id_field": None}, {"existing": "update"}])
def test_a_request_that_breaks_behind_its_sending(tmp_path: Path, plan: dict[str, Any], *, apart: bool) -> None:
    """What became of its rows nobody knows, and the next try finds them."""
    task = creating(tmp_path, 40, plan=plan, batch_size=10, concurrency=2, apart=apart)

    def send(call: Call) -> Reply:
        reply = task.org.send(call)
        if call.write and "Ray 11" in str(call.body):
            raise Interrupted
        return reply

    with pytest.raises(Interrupted):
        task.attempt(send=send)
    counts = task.audit()
    assert counts["not_sent outcome_unknown"] == 10
    assert set(counts) <= {"created", "not_sent outcome_unknown", "not_sent stopped"}
    assert again_until_all_is_settled(task) == {"created": 40}


def test_requests_that_break_while_pages_are_recorded(tmp_path: Path) -> None:
    """Where two pages break, the third is recorded still."""
    task, all_sent = creating(tmp_path, 3, batch_size=1, concurrency=3), Barrier(3, timeout=60)

    def send(call: Call) -> Reply:
        all_sent.wait()
        if "Ray 2" not in str(call.body):
            raise Interrupted
        return task.org.send(call)

    with pytest.raises(Interrupted):
        task.attempt(send=send)
    assert task.audit() == {"created": 1, "not_sent outcome_unknown": 2}
    assert again_until_all_is_settled(task) == {"created": 3}


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("at", range(6))
def test_a_storage_that_fails_once(tmp_path: Path, at: int, *, apart: bool) -> None:
    """What was written is recorded all the same."""
    task = creating(tmp_path, 40, batch_size=5, concurrency=2, apart=apart)
    fails = iter([number == at for number in range(99)])

    class Failing(Recorder):
        def add(self, outcomes: Any) -> None:  # noqa: ANN401 - a batch
            if next(fails):
                raise OSError("no space")
            super().add(outcomes)

        def write(self, outcome: Outcome, values: Any) -> None:  # noqa: ANN401 - a row
            if apart and next(fails, False):
                raise OSError("no space")
            super().write(outcome, values)

    task.recorder = Failing
    with pytest.raises(OSError, match="no space"):
        task.attempt()
    assert set(task.audit()) <= {"created", "not_sent stopped"}
    assert again_until_all_is_settled(task) == {"created": 40}


def test_moves_are_found_again(tmp_path: Path) -> None:
    """A lead that a broken try has moved is at its stage when the next one looks."""
    org, memory = EventfulOrg(), Memory()
    ids = [org.add(LastName=f"Old {n}", Company="Acme", Lead_Stage__c="New") for n in range(30)]
    plan = prepare(stage_request(), ground(("id", "lead", "score")))
    rows = [scored(f"k{n}", lead) for n, lead in enumerate(ids)]
    task = Task(tmp_path, org, plan, list(taken_in(plan, memory, rows, lambda _settled: None)), batch_size=5)

    def send(call: Call) -> Reply:
        reply = org.send(call)
        if call.write and ids[12] in str(call.body):
            raise Interrupted
        return reply

    with pytest.raises(Interrupted):
        task.attempt(send=send)
    counts = task.audit()
    assert counts["not_sent outcome_unknown"] == 5
    counts = again_until_all_is_settled(task)
    assert counts["unchanged already_at_stage"] == 5
    assert counts.total() == 30
