"""A TCP proxy that counts what goes through it, either way."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_PIECE = 1 << 16


@dataclass
class Counted:
    """What went through.

    :param port: where the proxy listens.
    :param up: bytes to the server.
    :param down: bytes from it.
    :param requests: HTTP requests, by method.
    """

    port: int
    up: int = 0
    down: int = 0
    requests: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def sent(self, data: bytes) -> None:
        """Count what a client sends."""
        head = data.partition(b"\r\n")[0].split(b" ")
        with self._lock:
            self.up += len(data)
            if len(head) == 3 and head[2].startswith(b"HTTP/1."):
                method = head[0].decode()
                self.requests[method] = self.requests.get(method, 0) + 1

    def answered(self, data: bytes) -> None:
        """Count what the server sends."""
        with self._lock:
            self.down += len(data)


@contextmanager
def counting_proxy(host: str, port: int) -> Iterator[Counted]:
    """Stand before a server, on a free port of this machine, and count."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        counted = Counted(listener.getsockname()[1])
        threading.Thread(target=_serve, args=(listener, (host, port), counted), daemon=True).start()
        yield counted


def _serve(listener: socket.socket, server: tuple[str, int], counted: Counted) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            upstream = socket.create_connection(server)
            for source, target, count in ((client, upstream, counted.sent), (upstream, client, counted.answered)):
                threading.Thread(target=_pump, args=(source, target, count), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket, count: object) -> None:
    assert callable(count)
    with suppress(OSError):
        while data := source.recv(_PIECE):
            count(data)
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
