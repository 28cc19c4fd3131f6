"""Turns on one memory: whoever holds it holds it alone, and what is lost is not taken back."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Event, Lock, Thread
from uuid import uuid4

import pytest
from airflow.sdk.io import attach

from airflow_provider_sfleads.exceptions import LeaseTakenError
from airflow_provider_sfleads.results.claims import Claim, Claims
from airflow_provider_sfleads.results.files import directory_at
from airflow_provider_sfleads.results.lease import Lease, Pace

NOW = datetime(2026, 1, 10, 2, tzinfo=UTC)
DAY = timedelta(days=1)
#: So that nothing is renewed, or given up, but by the test's clock.
STILL = Pace(lasts=30.0, renewed=3600.0, skew=5.0, looks=0.0, patience=60.0, outlasts=86_400.0, handover=60.0)
#: For runs that race: a claim outlasts what a busy machine may take.
RACING = Pace(lasts=60.0, renewed=5.0, skew=0.1, looks=0.005, patience=200.0)


@dataclass
class Clock:
    """A clock that a test sets; a wait lets it pass a second."""

    seconds: float = 0.0
    happens: dict[int, Callable[[], object]] = field(default_factory=dict)
    waits: int = 0

    def now(self) -> datetime:
        """The time."""
        return NOW + timedelta(seconds=self.seconds)

    def ticks(self) -> float:
        """The same in seconds."""
        return self.seconds

    def wait(self, _seconds: float) -> bool:
        """Wait, and let happen what the test has in store."""
        self.seconds += 1.0
        self.waits += 1
        self.happens.get(self.waits, bool)()
        return False


@pytest.fixture(params=["file", "memory"])
def claims(request: pytest.FixtureRequest, tmp_path: Path) -> Claims:
    """The claims to one memory, on a disk and at a remote storage."""
    import fsspec  # type: ignore[import-untyped]

    if request.param == "memory":
        attach("memory", conn_id="store", fs=fsspec.filesystem("memory"))
    url = str(tmp_path) if request.param == "file" else f"memory://store@{uuid4().hex}"
    return Claims.to(directory_at(url), "create", "table", "wh", "state")


def lease(claims: Claims, day: int, clock: Clock, name: str = "", *, jobs_over: Callable[[str], bool] = bool) -> Lease:
    """A run of a day of the week."""
    return Lease(
        claims=claims,
        name=name or f"day-{day}",
        holder=f"run {name or day}",
        interval_end=NOW + day * DAY,
        is_over=jobs_over,
        wait=clock.wait,
        pace=STILL,
        clock=clock.now,
        ticks=clock.ticks,
    )


def refused(one: Lease) -> str:
    """What a run is told that does not get its turn."""
    with pytest.raises(LeaseTakenError) as error:
        one.acquire()
    assert error.value.transient
    assert error.value.retry_after == 60
    return str(error.value)


def test_a_run_waits_until_another_one_is_through(claims: Claims) -> None:
    """And the folder is empty when both are."""
    clock = Clock()
    first, second = lease(claims, 1, clock), lease(claims, 2, clock)
    first.acquire()
    clock.happens[3] = first.release
    second.acquire()

    assert clock.waits == 3
    second.verify()
    second.release()
    assert claims.directory.names() == []


def test_who_waits_too_long_is_told_whom_it_waited_for(claims: Claims) -> None:
    """And since when; its own claim stands in nobody's way."""
    clock = Clock()
    first, second = lease(claims, 1, clock), lease(claims, 2, clock)
    first.acquire()
    renewing = dict.fromkeys(range(10, 100, 10), first.renew)
    clock.happens.update(renewing)

    said = refused(second)
    assert "run 1 has its turn since 2026-01-10 02:00:00 UTC" in said
    assert claims.directory.path in said
    assert len(claims.directory.names()) == 1


def test_runs_of_one_interval_stand_side_by_side(claims: Claims) -> None:
    """Mapped tasks cannot undo each other; a run of another day waits for both."""
    clock = Clock()
    tasks = [lease(claims, 1, clock, name) for name in ("map-0", "map-1")]
    for task in tasks:
        task.acquire()
        task.verify()
    other = lease(claims, 2, clock)
    clock.happens |= {1: tasks[0].release, 4: tasks[1].release}
    other.acquire()

    assert clock.waits == 4


def test_the_next_try_of_a_killed_run_takes_its_turn_up_at_once(claims: Claims) -> None:
    """It is the same claim, and its jobs stay noted."""
    clock = Clock()
    first = lease(claims, 1, clock, jobs_over=lambda _: False)
    first.acquire()
    first.carry(("750A",))
    again = lease(claims, 1, clock, jobs_over=lambda _: False)
    again.acquire()

    assert clock.waits == 0
    assert claims.get("day-1") == again._held
    assert again._held is not None
    assert again._held.jobs == ("750A",)


def test_the_claim_of_a_killed_older_run_expires(claims: Claims) -> None:
    """What it wrote is written over by the newer run, and its next try sees what that did."""
    clock = Clock()
    lease(claims, 1, clock).acquire()
    newer = lease(claims, 2, clock)
    newer.acquire()

    assert 30 < clock.seconds < 40


def test_the_jobs_of_a_killed_older_run_are_waited_for(claims: Claims) -> None:
    """One that still stands in Salesforce's queue would undo the newer run."""
    clock, over = Clock(), set[str]()
    older = lease(claims, 1, clock)
    older.acquire()
    older.carry(("750A", "750B"))
    clock.happens = {40: lambda: over.add("750A"), 42: lambda: over.add("750B")}
    newer = replace(lease(claims, 2, clock, jobs_over=over.__contains__), pace=replace(STILL, patience=1000.0))
    newer.acquire()

    # A deferred run is to have the time to go on itself.
    assert 42 + 60 <= clock.waits <= 42 + 62


def test_a_newer_run_that_was_killed_keeps_older_ones_away(claims: Claims) -> None:
    """What it has sent is in no memory yet; after a day nobody waits any longer."""
    clock = Clock()
    newer = lease(claims, 2, clock)
    newer.acquire()
    said = refused(lease(claims, 1, clock))
    assert "run 2 goes first" in said
    assert "has its turn" not in said
    clock.seconds += 86_500

    lease(claims, 1, clock).acquire()


@pytest.mark.parametrize("day", [1, 3], ids=["older", "newer"])
def test_a_run_that_is_to_go_on_later_is_no_reason_to_wait_for_newer_ones(claims: Claims, day: int) -> None:
    """As a deferred one, whose jobs are over; older ones wait until it has been through."""
    clock = Clock()
    first = lease(claims, 2, clock)
    first.acquire()
    first.leave()
    if day == 3:
        lease(claims, day, clock).acquire()
        assert clock.waits == 0
    else:
        refused(lease(claims, day, clock))


@pytest.mark.parametrize("which", ["clock", "ticks"])
def test_a_frozen_run_has_lost_its_turn_when_it_wakes(claims: Claims, which: str) -> None:
    """By either clock, before others may have theirs, and never takes it back."""
    clock, own = Clock(), Clock()
    frozen = replace(lease(claims, 1, own), **{which: getattr(clock, {"clock": "now"}.get(which, which))})
    frozen.acquire()
    clock.seconds = 24.0
    frozen.verify()
    clock.seconds = 25.5
    for step in (frozen.verify, lambda: frozen.carry(("750A",)), frozen.renew):
        with pytest.raises(LeaseTakenError):
            step()

    kept = claims.get("day-1")
    assert kept is not None
    assert kept.expires_at == NOW + timedelta(seconds=30)
    assert kept.jobs == ()


def test_a_renewal_that_is_written_too_late_is_none(claims: Claims) -> None:
    """The process froze between reading the clock and writing the file."""
    clock = Clock()
    slow = lease(claims, 1, clock)
    slow.acquire()

    class Freezing(Claims):
        def put(self, name: str, claim: Claim) -> None:
            clock.seconds += 40
            super().put(name, claim)

    slow.claims = Freezing(claims.directory)
    with pytest.raises(LeaseTakenError):
        slow.renew()
    with pytest.raises(LeaseTakenError):
        slow.verify()


def test_a_claim_that_cannot_be_read_is_not_passed_over(claims: Claims) -> None:
    """The error says where it lies."""
    with claims.directory.complete("odd.json") as draft:
        draft.write_text(json.dumps({"holder": "x"}))

    assert claims.directory.path in refused(lease(claims, 1, Clock()))


def test_a_stop_ends_the_wait(claims: Claims) -> None:
    """A task that is killed does not sit it out."""
    clock = Clock()
    lease(claims, 1, clock).acquire()
    with pytest.raises(LeaseTakenError):
        replace(lease(claims, 2, clock), wait=lambda _: True).acquire()


def test_a_turn_is_renewed_for_as_long_as_it_is_held(claims: Claims) -> None:
    """By a thread of its own."""
    clock = Clock()
    held = replace(lease(claims, 1, clock), pace=replace(STILL, renewed=0.005))
    held.acquire()
    for _ in range(6):
        # Less than a claim lasts, and more over all.
        clock.seconds += 10.0
        deadline = time.monotonic() + 60.0
        while (claim := claims.get("day-1")) is None or claim.expires_at < clock.now() + timedelta(seconds=STILL.lasts):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        held.verify()
    held.release()


@dataclass
class Alone:
    """Sees whether two of different days are inside at once."""

    inside: list[int] = field(default_factory=list)
    most: int = 0
    lock: Lock = field(default_factory=Lock)

    def visit(self, day: int) -> None:
        """Be inside for a moment."""
        with self.lock:
            self.inside.append(day)
            self.most = max(self.most, len(set(self.inside)))
        time.sleep(0.001)
        with self.lock:
            self.inside.remove(day)


def test_however_many_race_for_it_one_day_has_it_at_a_time(claims: Claims) -> None:
    """Six threads of three days, again and again."""
    alone, done = Alone(), list[int]()

    def race(number: int) -> None:
        for _ in range(10):
            one = replace(
                lease(claims, number % 3, Clock(), f"run-{number}"),
                pace=RACING,
                clock=lambda: datetime.now(UTC),
                ticks=time.monotonic,
                wait=Event().wait,
            )
            one.acquire()
            one.verify()
            alone.visit(number % 3)
            one.release()
        done.append(number)

    threads = [Thread(target=race, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(done) == list(range(6))
    assert alone.most == 1


def _visits(folder: Path, day: int) -> Iterator[tuple[int, int]]:
    """The beginnings and ends of a process's turns, by the machine's clock."""
    claims = Claims.to(directory_at(str(folder)), "m")
    for _ in range(15):
        one = replace(
            lease(claims, day, Clock()),
            pace=RACING,
            clock=lambda: datetime.now(UTC),
            ticks=time.monotonic,
            wait=Event().wait,
        )
        one.acquire()
        began = time.monotonic_ns()
        time.sleep(0.002)
        yield began, time.monotonic_ns()
        one.release()


def test_processes_race_for_it_too(tmp_path: Path) -> None:
    """Three, whose turns do not overlap."""
    children = []
    for day in range(3):
        child = os.fork()
        if child == 0:
            try:
                (tmp_path / f"{day}.json").write_text(json.dumps(list(_visits(tmp_path, day))))
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    turns = sorted(tuple(each) for day in range(3) for each in json.loads((tmp_path / f"{day}.json").read_text()))

    assert len(turns) == 45
    assert all(before[1] < after[0] for before, after in pairwise(turns))
