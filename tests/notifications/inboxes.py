"""What stands in for Slack and for a mail server, on this machine; each keeps what it was sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller

from demo.ui import free_port

if TYPE_CHECKING:
    from aiosmtpd.smtp import SMTP, Envelope, Session

TOKEN = "T000/B000/a-token-that-nobody-else-has"


@dataclass
class Channel:
    """A channel behind an incoming webhook.

    :param url: the webhook's address, less its token.
    :param posts: the JSON of each post.
    :param status: what it answers.
    """

    url: str
    posts: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200

    @property
    def texts(self) -> list[str]:
        """The texts that were posted."""
        return [post["text"] for post in self.posts]

    @property
    def connection(self) -> str:
        """An Airflow connection to it."""
        return json.dumps({"conn_type": "slackwebhook", "host": self.url, "password": TOKEN})


@contextmanager
def channel() -> Iterator[Channel]:
    """A channel for as long as the block lasts."""
    opened = Channel(url="")

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_known = self.path == f"/services/{TOKEN}"
            if is_known and opened.status == 200:
                opened.posts.append(json.loads(body))
            self.send_response(opened.status if is_known else 403)
            self.end_headers()
            self.wfile.write(b"ok" if is_known else b"invalid_token")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as its base has it
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    opened.url = f"http://127.0.0.1:{server.server_port}/services"
    try:
        yield opened
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Mailbox:
    """What a mail server took.

    :param port: where it listens.
    :param mails: the mails.
    """

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)

    @property
    def connection(self) -> str:
        """An Airflow connection to it."""
        extra = {"disable_ssl": True, "disable_tls": True, "from_email": "airflow@acme.example"}
        return json.dumps({"conn_type": "smtp", "host": "127.0.0.1", "port": self.port, "extra": extra})

    def html(self, number: int) -> str:
        """The HTML of a mail."""
        part = self.mails[number].get_body(("html",))
        assert part is not None
        return str(part.get_content())

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802, ARG002
        """Take a mail; aiosmtpd's name and signature."""
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content, _class=EmailMessage, policy=policy.default))
        return "250 OK"


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    """A mail server for as long as the block lasts."""
    opened = Mailbox()
    opened.port = free_port()
    controller = Controller(opened, hostname="127.0.0.1", port=opened.port)
    controller.start()
    try:
        yield opened
    finally:
        controller.stop()
