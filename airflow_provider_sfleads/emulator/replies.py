"""Answers that no server should give: none, and half of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

# Where the protocol leaves the connection, see `protocol.py`.
TRANSPORT = "sfleads.transport"


class Dropped(Response):
    """Closes the connection without a word."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Close, and wait until the server has noticed, else it would answer 500 by itself."""
        scope[TRANSPORT].close()
        while (await receive())["type"] != "http.disconnect":
            pass


class Truncated(Response):
    """Promises a whole body and breaks off half way."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send half, then close."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = self.body[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": bytes(half), "more_body": True})
        await Dropped()(scope, receive, send)
