"""Where a task's process stands before each try until it is let in, and from where its end is seen."""

from __future__ import annotations

import json
import os
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass, field

_LET_IN = b"!"
KILLED = "killed"
HANGS = "hangs"


@dataclass
class Visit:
    """A process that stands at the door.

    :param number: number of the try.
    :param resumed: whether it goes on with a try that was deferred.
    """

    pid: int
    number: int
    resumed: bool
    line: socket.socket
    inside: bool = field(default=False, init=False)

    def let_in(self) -> None:
        """Have it begin."""
        self.inside = True
        self.line.sendall(_LET_IN)

    def kill(self) -> bool:
        """End it by SIGKILL, if it is still inside."""
        if not self.inside:
            return False
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        return True

    def wait(self, seconds: float) -> str | None:
        """Wait for its end.

        :return: ``returned``, the name of an error, ``killed`` where it could not say anything more, or ``None`` where
            it has not ended in time.
        """
        self.line.settimeout(seconds)
        word = b""
        try:
            while piece := self.line.recv(200):
                word += piece
                # It has said so: what is killed from here on is not the try any more.
                self.inside = False
        except TimeoutError:
            return None
        except ConnectionResetError:
            pass
        self.inside = False
        return word.decode() or KILLED


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
            visit = json.loads(said.readline())
        return Visit(pid=visit["pid"], number=visit["try"], resumed=visit["resumed"], line=line)

    def close(self) -> None:
        """Let nobody in any more."""
        for line in [*self._lines, self._listener]:
            line.close()
