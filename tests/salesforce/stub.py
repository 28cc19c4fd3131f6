"""A Salesforce of a few lines that answers as a test tells it, over real sockets."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "/services/oauth2/token"


@dataclass(frozen=True)
class Got:
    """A request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    number: int


@dataclass(frozen=True)
class Say:
    """An answer; ``cut`` promises that many bytes more than it sends, ``hang_up`` sends none at all.

    ``raw`` is what goes over the socket instead of all that, piece by piece, for as long as the client listens.
    """

    status: int = 200
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0
    hang_up: bool = False
    raw: Iterable[bytes] | None = None


Script = Callable[[Got], Say]


def refused(code: str, message: str = "", status: int = 400) -> Say:
    """Return an error answer in Salesforce's form."""
    return Say(status, [{"errorCode": code, "message": message}])


EXPIRED = refused("INVALID_SESSION_ID", "Session expired or invalid", 401)


def _token_error(error: str, description: str | None = None, status: int = 400) -> Say:
    return Say(status, {"error": error} | ({"error_description": description} if description else {}))


_MAINTENANCE = b"<html><title>Maintenance</title><h1>We are down for maintenance.</h1></html>"
_HTML = {"Content-Type": "text/html"}
#: Answers of a token endpoint that are other ones a little later.
PASSING = {
    "retry your request": _token_error("unknown_error", "retry your request"),
    "unknown": _token_error("unknown_error"),
    "being processed": _token_error("invalid_grant", "token request is already being processed"),
    "login rate": _token_error("invalid_grant", "login rate exceeded"),
    "rate limit": _token_error("rate_limit_exceeded"),
    "server error": _token_error("server_error"),
    "unavailable": _token_error("temporarily_unavailable", status=503),
    "420": Say(420),
    "429": Say(429),
    "500": Say(500),
    "502": Say(502, b"Bad Gateway", {"Content-Type": "text/plain"}),
    "503 page": Say(503, _MAINTENANCE, _HTML),
    "400 page": Say(400, _MAINTENANCE, _HTML),
    "200 page": Say(200, _MAINTENANCE, _HTML),
    "page with a mark": Say(400, b"\xef\xbb\xbf" + _MAINTENANCE, _HTML),
    "proxy's page": Say(200, b"<!DOCTYPE html><title>Sign in</title>", _HTML),
    "untyped page": Say(200, b" <html>", {"Content-Type": "application/json"}),
    "half an answer": Say(200, b'{"access_tok'),
}
#: And those that stay.
LASTING = {
    "key": _token_error("invalid_client_id", "client identifier invalid"),
    "secret": _token_error("invalid_client", "invalid client credentials"),
    "not installed": _token_error("invalid_client", "app must be installed into org"),
    "no user": _token_error("invalid_grant", "no client credentials user enabled"),
    "inactive": _token_error("inactive_user"),
    "not approved": _token_error("invalid_app_access", "user is not admin approved to access this app"),
    "ip": _token_error("invalid_grant", "ip restricted"),
    "flow": _token_error("unsupported_grant_type", "grant type not supported"),
    "unheard of": _token_error("unheard_of"),
    "another site": Say(404, b"<html><h1>Not Found</h1></html>", _HTML),
}


def twice(stub: Stub, say: Say) -> Script:
    """Answer two token requests so, and give a token from then on."""
    token = Say(body={"access_token": "token", "instance_url": stub.url})
    return lambda got: say if got.number <= 2 else token


class Stub:
    """What arrived, and what to answer: ``script`` for calls; tokens are numbered ``token-1``, ``token-2`` ..."""

    def __init__(self) -> None:
        self.script: Script = lambda _got: Say(body={})
        self.token_script: Script | None = None
        self.requests: list[Got] = []
        self.token_forms: list[bytes] = []
        self.connections: set[object] = set()
        self.lock = threading.Lock()
        self.port = 0

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://127.0.0.1:{self.port}"

    def answer(self, got: Got) -> Say:
        """Note a request and return its answer."""
        if got.path != TOKEN:
            return self.script(got)
        if self.token_script:
            return self.token_script(got)
        identity = "https://login.salesforce.com/id/00D5g00000AbCdEEAV/0055g00000FgHiJAAV"
        return Say(body={"access_token": f"token-{got.number}", "instance_url": self.url, "id": identity})


def _handler(stub: Stub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65536

        def log_message(self, *args: object) -> None:
            """Stay silent."""

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with stub.lock:
                stub.connections.add(self.client_address)
                if self.path == TOKEN:
                    stub.token_forms.append(body)
                number = len(stub.token_forms) if self.path == TOKEN else len(stub.requests) + 1
                got = Got(self.command, self.path, headers, body, number)
                if self.path != TOKEN:
                    stub.requests.append(got)
            self.say(stub.answer(got))

        def say(self, say: Say) -> None:
            if say.hang_up or say.raw is not None:
                self.close_connection = True
                _pour(self.connection, say.raw or ())
                return
            content = say.body if isinstance(say.body, bytes) else b"" if say.body is None else _json(say.body)
            self.send_response(say.status)
            for name, value in {"Content-Type": "application/json", **say.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content) + say.cut))
            self.end_headers()
            self.wfile.write(content)
            self.wfile.flush()
            self.close_connection = self.close_connection or bool(say.cut)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_any  # noqa: N815

    return Handler


def _pour(connection: socket.socket, pieces: Iterable[bytes]) -> None:
    """Send pieces for as long as the client listens, then hang up."""
    with suppress(OSError):
        for piece in pieces:
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_RDWR)


def _json(body: object) -> bytes:
    return json.dumps(body).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


@contextmanager
def serving() -> Iterator[Stub]:
    """Run a stub on a port of its own."""
    stub = Stub()
    server = _Server(("127.0.0.1", 0), _handler(stub))
    stub.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
