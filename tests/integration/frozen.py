"""Tries in processes of their own that are frozen and woken, as a virtual machine that stalls does with a worker."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.support import Task

if TYPE_CHECKING:
    from airflow_provider_sfleads.operators.base import LeadSyncOperator


class SharedStore:
    """Airflow's task state store for several processes: a value that one has written the others read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "store"
        self._folder.mkdir()

    def get(self, key: str) -> object:
        """Read a value."""
        path = self._folder / key
        return json.loads(path.read_text()) if path.exists() else None

    def set(self, key: str, value: object) -> None:
        """Write a value; a process that freezes meanwhile keeps nobody waiting."""
        draft = self._folder / f".{key}-{os.getpid()}-{threading.get_ident()}"
        draft.write_text(json.dumps(value))
        draft.replace(self._folder / key)


class Frozen:
    """A try in a process of its own."""

    def __init__(self, operator: LeadSyncOperator, task: Task) -> None:
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                code = 0 if task.run(operator).error is None else 1
            finally:
                os._exit(code)
        task.tries += 1

    def wait_until_frozen(self) -> None:
        """Return once it has stopped."""
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), "the try came to its end before it was frozen"

    def stop(self) -> None:
        """Freeze it now."""
        os.kill(self.pid, signal.SIGSTOP)

    def wake(self) -> int:
        """Let it go on to its end, and return its exit code."""
        os.kill(self.pid, signal.SIGCONT)
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)


def freezing_at(place: int) -> Callable[[int], None]:
    """Have whoever reads a row freeze; for :class:`~tests.integration.support.Rows`."""
    here = os.getpid()

    def look(number: int) -> None:
        if number == place and os.getpid() != here:
            os.kill(os.getpid(), signal.SIGSTOP)

    return look


def waking_at(place: int, frozen: Callable[[], Frozen], ended: list[int]) -> Callable[[int], None]:
    """Have another process go on to its end while this one reads a row."""

    def look(number: int) -> None:
        if number == place:
            ended.append(frozen().wake())

    return look
