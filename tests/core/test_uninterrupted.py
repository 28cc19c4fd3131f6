"""Steps that a signal must not leave half done."""

from __future__ import annotations

import os
import signal
from threading import Event, current_thread

import pytest

from airflow_provider_sfleads.core.uninterrupted import uninterrupted


def test_a_signal_waits_for_the_end_of_a_step() -> None:
    """It strikes in the main thread, which waits, and goes on when the step is done."""
    struck, done = Event(), []

    def strike(*_: object) -> None:
        struck.set()
        raise KeyboardInterrupt

    def step() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        assert struck.wait(60)
        done.append(1)

    before = signal.signal(signal.SIGINT, strike)
    try:
        with pytest.raises(KeyboardInterrupt):
            uninterrupted(step)
    finally:
        signal.signal(signal.SIGINT, before)
    assert done == [1]


def test_a_step_within_a_step_needs_no_thread_of_its_own() -> None:
    """Signals are handled in the main thread, and the outer step has left that already."""
    threads = []

    def outer() -> None:
        threads.append(current_thread())
        uninterrupted(lambda: threads.append(current_thread()))

    uninterrupted(outer)
    assert threads[0] is threads[1] is not current_thread()


def test_what_a_step_raises_goes_on() -> None:
    """From within another step, too."""

    def step() -> None:
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        uninterrupted(step)
    with pytest.raises(OSError, match="no space"):
        uninterrupted(lambda: uninterrupted(step))
