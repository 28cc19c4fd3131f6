"""Handle Ctrl-C and SIGTERM while there are trial leads: heard at once, acted upon where no lead is lost sight of."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_STOPPING = (
    "\nStopping: the request under way is waited for, then the trial leads are deleted. "
    "Another signal does not wait for the request.\n"
)
_DELETING = "\nThe trial leads are being deleted; another signal leaves them: find them by {field} like '{prefix}%'.\n"
# While trial leads are deleted, the first signal more is only answered.
_ASKED_AGAIN = 2


class Signals:
    """Takes the two signals, and ends the check between two requests, so that each answer is taken note of.

    A request is waited for, since what an abandoned one has written nobody knows; a second signal abandons it all the
    same. While the trial leads are deleted, the first signal is answered with how to find them, and the second ends it.
    Outside the main thread there are no signals to take.

    :param field: where the trial leads have their key.
    :param prefix: what their keys begin with.
    """

    def __init__(self, *, field: str, prefix: str) -> None:
        self._deleting = _DELETING.format(field=field, prefix=prefix)
        self._said = _STOPPING
        self._before: dict[int, Any] = {}
        self._told = threading.Event()
        self._count = 0
        self._ends_at = 1
        self._signal: int | None = None
        self._waits = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                before = signal.getsignal(number)
                # What is ignored, as under nohup, stays so; what was not set by Python cannot be put back.
                if before not in (signal.SIG_IGN, None):
                    self._before[number] = before
                    signal.signal(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def pass_on(self) -> None:
        """Give the signal that ended the check to whoever would have had it.

        :raises KeyboardInterrupt: after SIGINT, where nobody else had taken that.
        :raises SystemExit: after SIGTERM, likewise, so that what is open is closed on the way out.
        """
        if self._signal is None:
            return
        before = self._before[self._signal]
        if callable(before):
            before(self._signal, None)
        raise self._end()

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        self._count += 1
        self._signal = number
        self._told.set()
        # Not by print or a log: the signal may have come in the middle of one. Nobody has to read it.
        with suppress(OSError, ValueError):
            os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, self._said.encode())
        if self._waits and self._count >= _ASKED_AGAIN:
            raise self._end()

    def _end(self) -> BaseException:
        return KeyboardInterrupt() if self._signal == signal.SIGINT else SystemExit(128 + (self._signal or 0))

    def deleting(self) -> None:
        """Go over to deleting, which the signal that led here does not end."""
        self._said, self._count, self._ends_at, self._waits = self._deleting, 0, _ASKED_AGAIN, False
        self._told.clear()

    def check(self) -> None:
        """End the check where that was asked for.

        :raises KeyboardInterrupt: after SIGINT.
        :raises SystemExit: after SIGTERM.
        """
        if self._count >= self._ends_at:
            raise self._end()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait for a request: the second signal does not."""
        self.check()
        try:
            self._waits = True
            yield
        finally:
            self._waits = False

    def pause(self, seconds: float) -> None:
        """Wait; a signal ends it.

        :raises KeyboardInterrupt: as :meth:`check`.
        :raises SystemExit: likewise.
        """
        self.check()
        self._told.wait(seconds)
        self.check()
        self._told.clear()
