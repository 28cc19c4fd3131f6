"""A second run of the same Dag beside the first: an overlapping backfill, or the run of a newer interval."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress

import pytest

from tests.chaos.door import Door, Visit
from tests.chaos.drawing import Record
from tests.integration.real_airflow import Run

_LONGEST = 200.0


class Companion:
    """The second run; nobody kills it, and its tries begin as soon as they can.

    :param start: starts a run with a conf that has further entries.
    :param more: such entries.
    :param is_held: whether it waits at its door until :meth:`let_go`.
    """

    def __init__(
        self, start: Callable[[Mapping[str, str]], Run], more: Mapping[str, str] | None = None, *, is_held: bool = False
    ) -> None:
        self._door = Door()
        self._is_over = threading.Event()
        self._may_go = threading.Event()
        self.is_there = threading.Event()
        if not is_held:
            self._may_go.set()
        self._thread = threading.Thread(target=self._let_in, name="chaos-companion", daemon=True)
        self._thread.start()
        self.run = start({**(more or {}), "door": str(self._door.port)})

    def _let_in(self) -> None:
        while not self._is_over.is_set():
            # Airflow may end a process at the door that came to no heartbeat.
            with suppress(OSError, ValueError):
                if (visit := self._door.next(0.2)) is not None:
                    self._let_go_on(visit)

    def _let_go_on(self, visit: Visit) -> None:
        self.is_there.set()
        while not self._may_go.wait(0.2):
            if self._is_over.is_set():
                return
        visit.let_in()

    def let_go(self, delay: float = 0.0) -> None:
        """Let its tries in.

        :param delay: seconds from now.
        """
        timer = threading.Timer(delay, self._may_go.set)
        timer.daemon = True
        timer.start()

    def finish(self) -> Record:
        """Wait for its success; what it pushed."""
        try:
            self.run.airflow.wait_for(self._has_ended, "the second run ends", _LONGEST)
            return self.run.report()
        except pytest.fail.Exception as error:
            error.add_note(f"The second run's task: {self.run.task()}")
            error.add_note("\n\n".join("\n".join(log.read_text().splitlines()[-10:]) for log in self.run.logs()))
            raise
        finally:
            self.close()

    def close(self) -> None:
        """Let none of its tries in any more."""
        self._is_over.set()
        self._thread.join()
        self._door.close()

    def _has_ended(self) -> bool:
        if not self.run.has_ended():
            return False
        if self.run.task()["state"] == "success":
            return True
        # What a fault made look permanent.
        self.run.clear()
        return False
