"""Where a task's process stands before each try until it is let in, and from where its end is seen."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

#: What lets a process in: with the parameters of its Dag run, or with ``api="collections"`` in place of what they say.
AS_GIVEN, BY_ROWS = b"!", b"c"
#: What a process says when it is told to stop: its operator's ``on_kill`` is called.
TOLD = "told to stop"
KILLED = "killed"
HANGS = "hangs"
FROZEN = "frozen"
_LOOK = 0.2  # seconds between two looks whether it is frozen


@dataclass
class Visit:
    """A process that stands at the door.

    :param supervisor: its parent, which keeps the heartbeat and hands signals on to it.
    :param number: number of the try.
    :param resumed: whether it goes on with a try that was deferred.
    """

    pid: int
    supervisor: int
    number: int
    map_index: int
    resumed: bool
    line: socket.socket
    inside: bool = field(default=False, init=False)
    is_told: bool = field(default=False, init=False)
    is_frozen: bool = field(default=False, init=False)
    _heard: bytes = field(default=b"", init=False)

    def let_in(self, *, by_rows: bool = False) -> None:
        """Have it begin."""
        self.inside = True
        self.line.sendall(BY_ROWS if by_rows else AS_GIVEN)

    def kill(self) -> bool:
        """End it by SIGKILL, if it is still inside."""
        return self.inside and self._signal(self.pid, signal.SIGKILL)

    def term(self) -> bool:
        """Tell its supervisor to stop, as Kubernetes does when it shuts a pod down, if it is still inside."""
        return self.inside and self._signal(self.supervisor, signal.SIGTERM)

    def freeze(self) -> bool:
        """Stop it together with its supervisor, as a machine does that stalls, if it is still inside."""
        if not self.inside:
            return False
        self._signal(self.supervisor, signal.SIGSTOP)
        self._signal(self.pid, signal.SIGSTOP)
        self.is_frozen = True
        return True

    def wake(self, lag: float = 0.0) -> bool:
        """Let both go on, if they are frozen.

        :param lag: seconds by which the supervisor, which would stop the task, is behind.
        """
        if not self.is_frozen:
            return False
        self.is_frozen = False
        self._signal(self.pid, signal.SIGCONT)
        time.sleep(lag)
        self._signal(self.supervisor, signal.SIGCONT)
        return True

    @staticmethod
    def _signal(pid: int, number: signal.Signals) -> bool:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        return True

    def wait(self, seconds: float) -> str | None:
        """Wait for its end, or until it is frozen.

        :return: ``returned``, the name of an error, ``killed`` where it could not say anything more, ``frozen``, or
            ``None`` where it has not ended in time.
        """
        self.line.settimeout(_LOOK)
        deadline = time.monotonic() + seconds
        while not self.is_frozen:
            try:
                piece = self.line.recv(200)
            except TimeoutError:
                if time.monotonic() > deadline:
                    return None
                continue
            except ConnectionResetError:
                piece = b""
            self._heard += piece
            said = self._heard.decode().splitlines()
            self.is_told = TOLD in said
            words = [word for word in said if word != TOLD]
            if words or not piece:
                # It has said so: what is killed from here on is not the try any more.
                self.inside = False
            if not piece:
                return words[-1] if words else KILLED
        return FROZEN


class Door:
    """A listening socket."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lines: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]

    def next(self, seconds: float) -> Visit | None:
        """Whoever comes within some time."""
        self._listener.settimeout(seconds)
        try:
            line, _ = self._listener.accept()
        except TimeoutError:
            return None
        self._lines.append(line)
        with line.makefile("rb") as said:
            visit: dict[str, Any] = json.loads(said.readline())
        return Visit(**visit, line=line)

    def close(self) -> None:
        """Let nobody in any more."""
        for line in [*self._lines, self._listener]:
            line.close()
