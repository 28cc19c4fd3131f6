"""Ctrl-C and SIGTERM, sent to a real process while the emulator holds a request of it."""

from __future__ import annotations

import logging
import os
import re
import select
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.check.writing import made, written

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from airflow_provider_sfleads.emulator.watching import Sight

_SECONDS = 20.0
_BY_CTRL_C, _BY_TERM = 130, 128 + signal.SIGTERM


class Process:
    """A check that writes, in a process of its own.

    :param emulator: the org.
    :param act: called at each of its requests, by their numbers from 0, while the emulator holds it.
    """

    def __init__(self, emulator: EmulatorServer, act: Callable[[Process, int, Sight], None]) -> None:
        self.told = ""
        self.requests = 0
        self._act = act
        self._ready = threading.Event()
        self._heard = threading.Condition()
        self._is_over = False
        emulator.reset()
        emulator.emulator.watchers[:] = [self._look]
        self._pipe, theirs = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.dup2(theirs, 2)
            os._exit(_carry_out(emulator))
        os.close(theirs)
        self._ready.set()

    def _look(self, sight: Sight) -> None:
        if sight.phase == "arrived" and self._ready.wait(_SECONDS):
            self.requests += 1
            self._act(self, self.requests - 1, sight)

    def signal(self, number: int) -> None:
        """Send a signal, and wait until the process has heard it: it says so, or ends."""
        with self._heard:
            before = self.told
            os.kill(self._pid, number)
            self._heard.wait_for(lambda: self._is_over or self.told != before, _SECONDS)

    def _read(self) -> bool:
        assert select.select([self._pipe], [], [], _SECONDS)[0], f"it says nothing; so far: {self.told}"
        piece = os.read(self._pipe, 1 << 16).decode()
        with self._heard:
            self.told += piece
            self._is_over = not piece
            self._heard.notify_all()
        return bool(piece)

    def ended(self) -> int:
        """Wait for its end; the exit status as a shell has it."""
        while self._read():
            pass
        os.close(self._pipe)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])


def _carry_out(emulator: EmulatorServer) -> int:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    logger = logging.getLogger("airflow_provider_sfleads.check")
    logger.handlers, logger.propagate = [logging.StreamHandler(os.fdopen(2, "w", closefd=False))], False
    try:
        written(emulator)
    except KeyboardInterrupt:
        return _BY_CTRL_C
    except SystemExit as end:
        return int(str(end.code))
    except BaseException as error:  # noqa: BLE001 - the parent judges it
        os.write(2, f"{type(error).__name__}: {error}".encode())
        return 1
    return 0


def at(place: int, *numbers: int) -> Callable[[Process, int, Sight], None]:
    """Send signals, one after the other, at one request."""

    def act(process: Process, n: int, _sight: Sight) -> None:
        for number in numbers if n == place else ():
            process.signal(number)

    return act


def is_write(sight: Sight) -> bool:
    """Whether a request makes or changes leads by itself."""
    return (
        sight.method in ("POST", "PATCH")
        and re.search("/composite/sobjects(/Lead/External_Id__c)?$", sight.target) is not None
    )


def left(emulator: EmulatorServer) -> list[object]:
    """The leads that are there, and the jobs."""
    return [*emulator.leads(), *emulator.jobs()]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, _BY_CTRL_C), (signal.SIGTERM, _BY_TERM)])
def test_a_signal_at_any_request_leaves_no_lead(emulator: EmulatorServer, number: int, status: int) -> None:
    """The request under way is waited for, and then all is deleted; SIGTERM strikes every fifth request only."""
    whole = Process(emulator, lambda *_: None)
    assert whole.ended() == 0
    step = 1 if number == signal.SIGINT else 5

    for place in range(3, whole.requests, step):
        process = Process(emulator, at(place, number))
        assert (process.ended(), left(emulator)) == (status, []), (place, process.told)
        assert "Stopping" in process.told or "being deleted" in process.told


def test_a_signal_before_anything_is_written_ends_it_at_once(emulator: EmulatorServer) -> None:
    """At the token, and at what is asked of the org first."""
    for place in range(3):
        process = Process(emulator, at(place, signal.SIGINT))
        assert (process.ended(), made(emulator)) == (_BY_CTRL_C, [])


def test_a_second_signal_abandons_the_request_and_leaves_no_lead(emulator: EmulatorServer) -> None:
    """What the abandoned request makes is found by its key, or told."""
    writes: list[int] = []
    whole = Process(emulator, lambda _it, n, sight: writes.append(n) if is_write(sight) else None)
    assert whole.ended() == 0

    for place in writes:
        process = Process(emulator, at(place, signal.SIGINT, signal.SIGINT))
        assert (process.ended(), left(emulator)) == (_BY_CTRL_C, []), (place, process.told)


def test_a_second_ctrl_c_while_leads_are_deleted_does_not_end_that(emulator: EmulatorServer) -> None:
    """It is answered with how to find them."""
    process = Process(emulator, lambda it, n, sight: it.signal(signal.SIGINT) if n == 8 or _deletes(sight) else None)

    assert (process.ended(), left(emulator)) == (_BY_CTRL_C, [])
    assert made(emulator)
    assert re.search(r"being deleted.* External_Id__c like 'sfleads-check-[0-9a-f]{8}-%'", process.told)


def test_a_third_ctrl_c_leaves_the_leads_and_says_how_to_find_them(emulator: EmulatorServer) -> None:
    """Whoever insists has his way."""

    def insist(it: Process, n: int, sight: Sight) -> None:
        for _ in range(2 if _deletes(sight) else n == 8):
            it.signal(signal.SIGINT)

    # The request that is held would be carried out, were it not refused.
    emulator.change_settings(broken=["undeletable"])
    process = Process(emulator, insist)

    assert process.ended() == _BY_CTRL_C
    leads = emulator.leads()
    assert leads
    assert f"LIKE '{str(leads[0]['External_Id__c'])[:-2]}%'" in process.told


def _deletes(sight: Sight) -> bool:
    return sight.method == "DELETE" and "/composite/sobjects?" in sight.target
