"""Answers that are made while they are sent, and those no server should give: none, and half of one."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.responses import Response

from airflow_provider_sfleads.emulator.wire import Stream

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


class Streamed(Response):
    """Sends a stream, compressed where `gzipped`; breaks off about half way where `cut`."""

    def __init__(self, stream: Stream, *, headers: Mapping[str, str], gzipped: bool, cut: bool) -> None:
        super().__init__(headers=headers, media_type=stream.content_type)
        # Its length is not known before its end.
        del self.headers["content-length"]
        self._stream = stream
        self._cut_at = stream.size // 2 if cut else None
        self._packer = zlib.compressobj(1, wbits=31) if gzipped else None
        if gzipped:
            self.headers["content-encoding"] = "gzip"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make a piece, send it, make the next."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        pieces = self._stream.pieces()
        sent = 0
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            cut = self._cut_at is not None and sent + len(piece) >= self._cut_at
            if self._cut_at is not None and cut:
                piece = piece[: self._cut_at - sent]
            sent += len(piece)
            data = await asyncio.to_thread(self._packed, piece, whole=not cut)
            if data:
                await send({"type": "http.response.body", "body": data, "more_body": True})
            if cut:
                await Dropped()(scope, receive, send)
                return
            if scope[TRANSPORT].is_closing():
                # Nobody listens any more.
                break
        rest = self._packer.flush() if self._packer else b""
        await send({"type": "http.response.body", "body": rest})

    def _packed(self, piece: bytes, *, whole: bool) -> bytes:
        if self._packer is None:
            return piece
        # What is cut off must not be cut off further, inside the packer.
        return self._packer.compress(piece) + (b"" if whole else self._packer.flush(zlib.Z_SYNC_FLUSH))
