"""Connect below requests and urllib3, such that it is known whether a request has left, and responses are bounded.

Why a request got no response is told without its URL, which may hold keys.

What the next request of a thread may take is set by :func:`begin`.
"""

from __future__ import annotations

import io
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse, IncompleteRead
from typing import Any, Self

from requests import PreparedRequest, Response, exceptions
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from airflow_provider_sfleads.salesforce.body import Damaged, TooLarge
from airflow_provider_sfleads.salesforce.wire import Kind, NoResponse

POOL_SIZE = 32
PIECE = 1 << 18  # bytes of a file that go out at once
IDLE = 30.0  # seconds; the shortest rest that load balancers commonly allow is a minute
_AROUND = 1 << 20  # bytes of header, chunk sizes and the like around a body
_current = threading.local()

# A call may run for minutes in silence, which firewalls between cut off.
_KEEP_ALIVE = [*HTTPConnection.default_socket_options, (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
Kinds = tuple[tuple[Kind, tuple[type[BaseException], ...], str], ...]
_UNKNOWN_NAME = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
# http.client's errors that say that the connection was lost, and nothing of what came.
_CUT = (ConnectionError, IncompleteRead)
#: Of requests, and of urllib3 below it. The proxy first: a name that is not found on the way to it is its own, and not
#: Salesforce's.
REQUESTS: Kinds = (
    ("proxy", (exceptions.ProxyError,), "the proxy refuses or does not answer"),
    ("dns", (socket.gaierror,), "the name server does not answer"),
    ("tls", (ssl.SSLCertVerificationError,), "its certificate is not trusted"),
    ("tls", (exceptions.SSLError, ssl.SSLError), "the TLS connection failed"),
    ("timeout", (exceptions.Timeout, TimeoutError), "no answer in time"),
    ("refused", (ConnectionRefusedError,), "the connection was refused"),
)


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment by two clocks: one that is never set, and one that goes on while a machine is suspended."""

    monotonic: float
    wall: float

    @classmethod
    def after(cls, seconds: float) -> Self:
        """Return the moment that comes in some seconds."""
        return cls(time.monotonic() + seconds, time.time() + seconds)

    @property
    def is_over(self) -> bool:
        """Whether it has passed by either clock."""
        return time.monotonic() > self.monotonic or time.time() > self.wall


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a response may be, header and all.

    :param most: bytes of its body on the wire.
    :param slowest: bytes a second that it must come at on the whole, once it has had twice the time-out.
    """

    most: int
    slowest: float

    def seconds_left(self, began: float, timeout: float, came: int) -> float:
        """Return how long the next byte may take.

        :param began: when the answer was first waited for, by the monotonic clock.
        :param came: bytes so far.
        """
        return began + 2 * timeout + came / self.slowest - time.monotonic()


def begin(leaves_by: Deadline | None = None, bounds: Bounds | None = None) -> None:
    """Forget what the last request of this thread did; until the adapter says otherwise, it counts as sent.

    :param leaves_by: when the next one must have begun to leave, or it is not sent.
    :param bounds: of its answer.
    """
    _current.sent = True
    _current.leaves_by = leaves_by
    _current.bounds = bounds


def was_sent() -> bool:
    """Return whether bytes of this thread's last request may have left."""
    return bool(getattr(_current, "sent", True))


class _BoundedFile(io.RawIOBase):
    """What comes over a socket in answer to one request, within bounds.

    Whoever sends one byte each minute never runs into the time-out of a socket, and http.client reads status lines,
    chunk sizes and trailers for as long as they come.

    :param raw: the socket as a file; closed with this one.
    """

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, bounds: Bounds) -> None:
        self._raw, self._sock, self._bounds = raw, sock, bounds
        self._timeout = sock.gettimeout()
        self._began, self._came = time.monotonic(), 0

    def readable(self) -> bool:
        """Say that it is there to be read."""
        return True

    def fileno(self) -> int:
        """Return the socket's own."""
        return self._raw.fileno()

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401
        """Read what there is, in the time that is left.

        :raises TimeoutError: where there is none.
        :raises TooLarge: where more has come than may.
        """
        count = self._raw.readinto(buffer) if self._timeout is None else self._in_time(buffer, self._timeout)
        self._came += count or 0
        if self._came > self._bounds.most + _AROUND:
            raise TooLarge(self._bounds.most)
        return count

    def _in_time(self, buffer: Any, timeout: float) -> int | None:  # noqa: ANN401
        left = self._bounds.seconds_left(self._began, timeout, self._came)
        if left <= 0:
            raise TimeoutError("the answer came too slowly")
        self._sock.settimeout(min(timeout, left))
        try:
            return self._raw.readinto(buffer)
        finally:
            self._sock.settimeout(timeout)

    def close(self) -> None:
        """Close the file below."""
        self._raw.close()
        super().close()


class _BoundedResponse(HTTPResponse):
    """A response that is read within the bounds of this thread's last request; of others, as far as it comes."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        bounds: Bounds | None = getattr(_current, "bounds", None)
        if bounds is not None:
            self.fp = io.BufferedReader(_BoundedFile(self.fp.detach(), sock, bounds))


class TrackedConnection(HTTPConnection):
    """Tracks whether the request was sent, and is not used again after a long rest."""

    response_class = _BoundedResponse
    used: float = 0.0

    def connect(self) -> None:
        """Connect; whatever a proxy's tunnel or a handshake sends is not the request."""
        try:
            super().connect()
        finally:
            _current.sent = False

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        """Send a request, with the query that :meth:`Adapter.request_url` kept back."""
        super().request(method, url + getattr(_current, "query", ""), *args, **kwargs)

    def send(self, data: Any) -> None:  # noqa: ANN401
        """Send a part of the request."""
        if self.sock is None:
            self.connect()
        leaves_by: Deadline | None = getattr(_current, "leaves_by", None)
        if leaves_by is not None and leaves_by.is_over and not _current.sent:
            raise TimeoutError("the request did not leave in time")
        _current.sent = True
        self.used = time.monotonic()
        super().send(data)

    @property
    def is_connected(self) -> bool:
        """Whether the pool may give this connection out again.

        Firewalls forget resting connections without a word; a create sent over such a one would be of unknown outcome.
        """
        return time.monotonic() - self.used < IDLE and super().is_connected


class _Https(TrackedConnection, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = TrackedConnection


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


if hasattr(socket, "TCP_KEEPIDLE"):
    _KEEP_ALIVE += [(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60), (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 30)]
_POOLS = {"http": _HttpPool, "https": _HttpsPool}


class Adapter(HTTPAdapter):
    """An adapter without retries of its own, whose connections track what was sent."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools of our connections."""
        super().init_poolmanager(*args, socket_options=_KEEP_ALIVE, blocksize=PIECE, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:  # noqa: ANN401
        """Make the pools behind a proxy of our connections too; a SOCKS proxy has its own, which track nothing."""
        if _is_socks(proxy):
            begin()
            return super().proxy_manager_for(proxy, **kwargs)
        manager = super().proxy_manager_for(proxy, socket_options=_KEEP_ALIVE, blocksize=PIECE, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def request_url(self, request: PreparedRequest, proxies: Any) -> str:  # noqa: ANN401
        """Return what urllib3 gets to know of the URL: all but its query, where the connection is one of ours.

        urllib3 would go through a long look-up byte by byte, twice, and write it into its log.
        """
        url = super().request_url(request, proxies)
        path, mark, query = url.partition("?")
        is_ours = not _is_socks(select_proxy(request.url or "", proxies) or "")
        _current.query = mark + query if is_ours else ""
        return path if is_ours else url

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """Send; nothing has left yet."""
        _current.sent = False
        return super().send(request, *args, **kwargs)


def _is_socks(proxy: str) -> bool:
    return proxy.lower().startswith("socks")


def _without_query(record: logging.LogRecord) -> bool:
    """Take the query out of urllib3's own lines, which Airflow writes at level DEBUG: look-ups are by personal data."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            part.partition("?")[0] if isinstance(part, str) and part.startswith("/services/") else part
            for part in record.args
        )
    return True


logging.getLogger("urllib3.connectionpool").addFilter(_without_query)


def explain(error: BaseException, kinds: Kinds, *, sent: bool) -> NoResponse:
    """Tell apart by the chain of causes, whose texts are not repeated: requests puts the whole URL into them.

    :param kinds: by the types of a cause; the first that is in the chain tells.
    :param sent: whether Salesforce may have received the request.
    """
    if isinstance(error, (TooLarge, Damaged)):
        return NoResponse("too_large" if isinstance(error, TooLarge) else "broken", sent=True, reason=str(error))
    chain = (error, *_causes(error))
    for kind, types, reason in kinds:
        cause = next((cause for cause in chain if isinstance(cause, types)), None)
        if kind == "dns" and isinstance(cause, socket.gaierror) and cause.errno in _UNKNOWN_NAME:
            return NoResponse("dns_unknown", sent, "the host name is unknown")
        if isinstance(cause, ssl.SSLCertVerificationError):
            return NoResponse("tls", sent, f"its certificate is not trusted ({cause.verify_message})")
        if cause is not None:
            return NoResponse(kind, sent, reason)
    if any(isinstance(cause, HTTPException) and not isinstance(cause, _CUT) for cause in chain):
        return NoResponse("broken", sent, "its answer is no HTTP, or its header is too large")
    return NoResponse("dropped", sent, "the connection was lost" if sent else "no connection could be made")


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    open_ends: list[object] = [error]
    while open_ends:
        cause = open_ends.pop()
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        open_ends += [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]
