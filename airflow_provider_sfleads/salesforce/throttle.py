"""Limit how many requests go out at once: fewer while the org is overloaded, then step by step as many as before."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_log = logging.getLogger(__name__)


class Throttle:
    """Lets attempts begin, from any number of threads, by the rule that TCP has for its window (RFC 5681).

    An overload halves what is in flight, once for all attempts that were under way together. Each success after it
    gives back one part in ``limit``, which is about one more attempt for each round of them. A wait that Salesforce
    asks for holds for all threads; while it lasts, none begins an attempt.

    :param highest: attempts in flight where nothing is overloaded.
    :param longest: seconds; no wait that Salesforce asks for is longer.
    :param sleep: waits some seconds.
    :param clock: seconds on a clock that never goes back.
    """

    def __init__(
        self, *, highest: int, longest: float, sleep: Callable[[float], None], clock: Callable[[], float]
    ) -> None:
        self._highest = highest
        self._longest = longest
        self._sleep = sleep
        self._clock = clock
        self._changed = threading.Condition()
        self._limit = float(highest)
        self._era = 0
        self._held_until = clock()
        self._flying = 0
        self._present = 0
        self._most_present = 0
        self._said = highest

    @property
    def limit(self) -> int:
        """Attempts that may be in flight just now."""
        return int(self._limit)

    @contextmanager
    def turn(self) -> Iterator[int]:
        """Wait for a turn, and have it until the block ends, however it ends; one thread takes one at a time.

        Yields the turn's era: how many reductions there had been when it began. How the attempt went is told before
        the block ends, if at all: what says nothing of the org's load is left out.
        """
        with self._changed:
            self._present += 1
            self._most_present = max(self._most_present, self._present)
        try:
            era = self._begin()
            try:
                yield era
            finally:
                with self._changed:
                    self._flying -= 1
        finally:
            with self._changed:
                self._present -= 1
                self._changed.notify_all()

    def _begin(self) -> int:
        """Wait until an attempt may begin, and return its era."""
        waited_until: float | None = None
        while True:
            with self._changed:
                held_until = self._held_until
                rest = held_until - self._clock()
                # A sleep that comes back early, for the task is to stop, ends the wait as well.
                if rest <= 0 or waited_until == held_until:
                    if self._flying < self.limit:
                        self._flying += 1
                        return self._era
                    # Whoever is in flight wakes this thread, and at least one is.
                    self._changed.wait()
                    continue
            self._sleep(rest)
            waited_until = held_until

    def served(self, era: int) -> None:
        """Note that Salesforce took up the attempt of a turn."""
        with self._changed:
            if era != self._era or self._limit >= self._highest:
                return
            self._limit = min(self._highest, self._limit + 1 / self._limit)
            if self._said < self._highest and self._limit >= min(self._most_present, self._highest):
                self._said = self._highest
                _log.info("Salesforce takes requests again: back to full concurrency")

    def overloaded(self, era: int, asked: float | None = None) -> None:
        """Note that Salesforce had too much to do for the attempt of a turn.

        :param asked: seconds that it asks to wait.
        """
        with self._changed:
            if asked is not None:
                self._held_until = max(self._held_until, self._clock() + min(asked, self._longest))
            if era != self._era:
                return
            self._era += 1
            self._limit = max(1.0, self._flying / 2)
            if self.limit < self._said:
                self._said = self.limit
                _log.warning("Salesforce is overloaded: at most %d requests in flight", self.limit)
