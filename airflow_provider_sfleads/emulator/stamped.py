"""The headers that are on every answer, or that never arrive."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from airflow_provider_sfleads.emulator.state import Emulator


class Stamped:
    """Puts the time on every answer, as far ahead as the settings say, and takes out what the settings withhold."""

    def __init__(self, app: ASGIApp, emulator: Emulator) -> None:
        self._app, self._emulator = app, emulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer back."""

        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                headers.setdefault("Date", formatdate(time.time() + self._emulator.settings.clock_offset, usegmt=True))
                for name in self._emulator.settings.withheld_headers:
                    del headers[name]
            await send(message)

        await self._app(scope, receive, stamped)
