from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sfleads.salesforce.throttle import Throttle

pytestmark = pytest.mark.timeout(120)
HIGHEST = 32


class Clock:
    """Time that passes by sleeping only; ``then`` happens at the end of the next sleep."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.sleeps: list[float] = []
        self.then: Callable[[], object] = lambda: None

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.sleeps.append(seconds)
        self.time += seconds
        then, self.then = self.then, lambda: None
        then()


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


def throttle_by(clock: Clock) -> Throttle:
    """A throttle as the client has it."""
    return Throttle(highest=HIGHEST, longest=60.0, sleep=clock.sleep, clock=lambda: clock.time)


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    """One that nothing has happened to."""
    return throttle_by(clock)


def overload(throttle: Throttle, flying: int, told: int | None = None) -> None:
    """Begin attempts beside each other, and end them one by one, so many of them, or all, by an overload."""
    turns = [throttle.turn() for _ in range(flying)]
    eras = [turn.__enter__() for turn in turns]
    for number, (turn, era) in enumerate(zip(turns, eras, strict=True)):
        if told is None or number < told:
            throttle.overloaded(era)
        turn.__exit__(None, None, None)


def drain(work: deque[int], attempt: Callable[[int], object]) -> None:
    """Make attempts while there is work."""
    with suppress(IndexError):
        while True:
            attempt(work.popleft())


def serve(throttle: Throttle, times: int) -> None:
    """Succeed, one attempt after the other."""
    for _ in range(times):
        with throttle.turn() as era:
            throttle.served(era)


@given(flying=st.integers(1, HIGHEST), told=st.integers(1, HIGHEST))
def test_a_burst_halves_what_was_in_flight_once(flying: int, told: int) -> None:
    """However many of the attempts that fly together are told of the overload."""
    throttle = throttle_by(Clock())
    overload(throttle, flying, told)
    assert throttle.limit == max(1, flying // 2)


def test_each_burst_halves_again_and_one_attempt_remains(throttle: Throttle) -> None:
    """A storm that goes on leaves one attempt in flight."""
    limits = []
    for _ in range(5):
        overload(throttle, min(8, throttle.limit))
        limits.append(throttle.limit)
    assert limits == [4, 2, 1, 1, 1]


@given(half=st.integers(1, HIGHEST // 2))
def test_a_round_of_successes_gives_one_attempt_back(half: int) -> None:
    """Neither much less nor more: as many successes as fit under the limit, and one for the rounding."""
    throttle = throttle_by(Clock())
    overload(throttle, 2 * half)
    serve(throttle, half - 1)
    assert throttle.limit == half
    serve(throttle, 2)
    assert throttle.limit == half + 1


def test_the_limit_comes_back_to_its_highest_and_no_higher(throttle: Throttle) -> None:
    """From one in flight to all that there were."""
    overload(throttle, 2)
    serve(throttle, 1000)
    assert throttle.limit == HIGHEST


def test_a_success_begun_before_the_reduction_gives_nothing_back(throttle: Throttle) -> None:
    """It tells of the time before the overload."""
    with throttle.turn() as early, throttle.turn() as told:
        throttle.overloaded(told)
        throttle.served(early)
        assert throttle.limit == 1


def test_an_attempt_that_tells_nothing_changes_nothing(throttle: Throttle) -> None:
    """A connection that was lost neither slows down nor speeds up."""
    overload(throttle, 8)
    with throttle.turn():
        pass
    assert throttle.limit == 4


def test_no_more_threads_fly_than_the_limit_lets(throttle: Throttle) -> None:
    """Nine threads take turns by three, all three places are used, and all come through."""
    overload(throttle, 6)
    flying, most, lock, together = 0, 0, threading.Lock(), threading.Barrier(3, timeout=60)

    def attempt(_number: int) -> None:
        nonlocal flying, most
        with throttle.turn():
            with lock:
                flying += 1
                most = max(most, flying)
            together.wait()
            with lock:
                flying -= 1

    work = deque(range(300))
    threads = [threading.Thread(target=lambda: drain(work, attempt), daemon=True) for _ in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert (len(work), flying, most) == (0, 0, 3)


def test_an_attempt_that_breaks_gives_its_place_back(throttle: Throttle) -> None:
    """The only place there is can be taken again."""
    overload(throttle, 1)
    for _ in range(3):
        with pytest.raises(KeyError), throttle.turn():
            raise KeyError
    serve(throttle, 1)
    assert throttle.limit == 2


def test_a_wait_that_breaks_takes_no_place(throttle: Throttle, clock: Clock) -> None:
    """A task that is stopped while it waits leaves the place to others."""

    def stop() -> None:
        raise InterruptedError

    with throttle.turn() as era:
        throttle.overloaded(era, 30.0)
    clock.then = stop
    with pytest.raises(InterruptedError), throttle.turn():
        pass
    serve(throttle, 1)
    assert throttle.limit == 2


@pytest.mark.parametrize(("asked", "waited"), [(30.0, [30.0]), (9999.0, [60.0]), (0.0, []), (None, [])])
def test_what_one_is_asked_to_wait_holds_for_the_next(
    throttle: Throttle, clock: Clock, asked: float | None, waited: list[float]
) -> None:
    """Up to the longest wait, and once."""
    with throttle.turn() as era:
        throttle.overloaded(era, asked)
    serve(throttle, 2)
    assert clock.sleeps == waited


def test_a_wait_that_is_made_longer_is_waited_out(throttle: Throttle, clock: Clock) -> None:
    """Another answer of the same burst asks for more time while a thread waits already; a shorter one is in it."""
    with ExitStack() as turns:
        first, second, third = (turns.enter_context(throttle.turn()) for _ in range(3))
        throttle.overloaded(first, 10.0)
        throttle.overloaded(second, 5.0)
        clock.then = lambda: throttle.overloaded(third, 7.0)
        turns.pop_all().close()
    serve(throttle, 1)
    assert clock.sleeps == [10.0, 7.0]


def test_a_sleep_that_comes_back_early_ends_the_wait() -> None:
    """Nothing spins where a stop cuts the sleep short."""
    sleeps: list[float] = []
    throttle = Throttle(highest=HIGHEST, longest=60.0, sleep=sleeps.append, clock=lambda: 0.0)
    with throttle.turn() as era:
        throttle.overloaded(era, 30.0)
    serve(throttle, 1)
    assert sleeps == [30.0]


def test_a_new_low_and_the_recovery_are_said_once(throttle: Throttle, caplog: pytest.LogCaptureFixture) -> None:
    """However the limit goes up and down between, and again the next time."""
    caplog.set_level(logging.INFO)
    for _ in range(2):
        caplog.clear()
        overload(throttle, 8)
        for _ in range(3):
            overload(throttle, min(4, throttle.limit))
            serve(throttle, 8)
        serve(throttle, 100)
        assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
            ("WARNING", "Salesforce is overloaded: at most 4 requests in flight"),
            ("WARNING", "Salesforce is overloaded: at most 2 requests in flight"),
            ("INFO", "Salesforce takes requests again: back to full concurrency"),
        ]
