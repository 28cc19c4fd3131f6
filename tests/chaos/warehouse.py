"""The warehouse of a schedule: another session holds its table while a sync merges what it writes back."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg
from psycopg.sql import SQL, Identifier

_LONGEST = 60.0
_LOOK = 0.05  # seconds between two looks whether somebody waits
# Readers pass, and so do rows that are staged; what changes the table waits.
_HOLD = SQL("LOCK TABLE {} IN EXCLUSIVE MODE")
_WAITING = "SELECT pid FROM pg_locks WHERE relation = %s::regclass AND NOT granted"


@dataclass
class Warehouse:
    """A table that may be held.

    :param url: the database.
    :param story: what has happened.
    :param struck: counts what has happened.
    """

    url: str
    table: str
    story: list[str]
    struck: Counter[str]
    _is_over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def hold(self, then: str, kill: Callable[[], bool]) -> None:
        """Hold the table until a sync waits for it, and let that be followed by something.

        :param then: the worker is killed (``kill``), its connection is ended (``cut``), as by a server that is started
            anew, or it goes on after a moment (``wait``).
        :param kill: kills the worker; whether there was one.
        """
        self._is_over.clear()
        thread = threading.Thread(target=self._held, args=(then, kill), name="chaos-warehouse", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _held(self, then: str, kill: Callable[[], bool]) -> None:
        with psycopg.connect(self.url) as connection:
            if connection.execute("SELECT to_regclass(%s)", [self.table]).fetchone() == (None,):
                return
            connection.execute(_HOLD.format(Identifier(self.table)))
            waited = 0.0
            while (waiting := connection.execute(_WAITING, [self.table]).fetchone()) is None:
                if self._is_over.wait(_LOOK) or waited > _LONGEST:
                    return
                waited += _LOOK
            if then == "cut":
                connection.execute("SELECT pg_terminate_backend(%s)", waiting)
            elif then == "wait":
                self._is_over.wait(0.5)
            elif not kill():
                return
            self.struck[f"{then} in the merge"] += 1
            self.story.append(f"  {then} in the merge")

    def let_go(self) -> None:
        """Hold it no more."""
        self._is_over.set()
        while self._threads:
            self._threads.pop().join()
