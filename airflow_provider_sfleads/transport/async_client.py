"""The client for event loops, such as the triggerer's; one that blocks is in :mod:`.client`."""

from __future__ import annotations

import asyncio
import logging
import random as chance
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self

from airflow_provider_sfleads.core.token import Grant
from airflow_provider_sfleads.core.wire import Call, Reply
from airflow_provider_sfleads.exceptions import ParameterError, SalesforceLeadsError
from airflow_provider_sfleads.transport import login
from airflow_provider_sfleads.transport.async_line import AsyncLine
from airflow_provider_sfleads.transport.failures import Failure
from airflow_provider_sfleads.transport.flight import Flight, prepare
from airflow_provider_sfleads.transport.meter import Meter, Metered
from airflow_provider_sfleads.transport.rhythm import TryAgain
from airflow_provider_sfleads.transport.settings import Settings
from airflow_provider_sfleads.transport.tokens import AsyncTokenStore, Token
from airflow_provider_sfleads.transport.verdict import Renew

_log = logging.getLogger(__name__)


async def _nothing(_secret: str) -> None:
    pass


class AsyncClient(Metered):
    """Sends calls to one org from one event loop, by the rules of :class:`~.client.Client`; files are not for it.

    :param settings: the connection.
    :param sleep: waits between attempts.
    :param random: draws from [0, 1) for the jitter of the waits.
    :param now: wall clock in seconds since the epoch.
    :param on_secret: told every token and assertion before it is used, to mask it in logs.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Callable[[], float] = chance.random,
        now: Callable[[], float] = time.time,
        on_secret: Callable[[str], Awaitable[None]] = _nothing,
    ) -> None:
        self.settings = settings
        self._on_secret = on_secret
        self._tokens = AsyncTokenStore(self._mint)
        super().__init__(Meter(now), self._tokens)
        self._line = AsyncLine(settings, sleep=sleep, random=random)

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the client."""
        await self.close()

    async def close(self) -> None:
        """Close the pooled connections."""
        await self._line.close()

    async def send(self, call: Call) -> Reply:
        """Send a call, and return the answer: 2xx, 300, 304, or a refusal (4xx) that is the caller's to judge.

        :raises SalesforceLeadsError: as :meth:`.client.Client.send` does.
        """
        flight = prepare(call, self.settings)
        flight.check_usage(self._meter.usage)
        try:
            reply: Reply = await (self._attempt(flight) if call.once else self._line.retrying()(self._attempt, flight))
        except (TryAgain, SalesforceLeadsError) as last:
            error = flight.ended(last)
        else:
            return reply
        raise error

    async def _attempt(self, flight: Flight) -> Reply:
        if isinstance(flight.data, Path):
            raise ParameterError("A file goes out through the client that blocks: no event loop waits for a disk.")
        token = await self._tokens.current()
        doubtful_before = flight.doubtful
        answer = await self._line.exchange(
            flight.call.method,
            token.base_url + flight.path,
            headers=flight.headers_with(token),
            params=flight.call.params,
            data=flight.data,
        )
        if isinstance(answer, Failure):
            self._lost(flight, token, answer)
        reply = self._judged(flight, token, answer, doubtful_before=doubtful_before)
        return await self._renew(flight, token, reply) if isinstance(reply, Renew) else reply

    async def _renew(self, flight: Flight, token: Token, verdict: Renew) -> Reply:
        """Repeat a call whose token was refused; safe for every call, for it was not begun."""
        newer = await self._tokens.renew(token) if flight.may_renew else None
        if newer is None:
            raise verdict.error
        flight.renewals += 1
        return await self._attempt(flight)

    async def _mint(self) -> Grant:
        try:
            grant: Grant = await self._line.retrying()(self._ask)
        except TryAgain as last:
            error = last.again.error
        else:
            await self._on_secret(grant.access_token)
            _log.info("Got a token for %s (connection %r)", grant.host.name, self.settings.conn_id)
            return grant
        raise error

    async def _ask(self) -> Grant:
        self._meter.asked()
        settings = self.settings
        form = login.form(settings, now=self._meter.now())
        for secret in login.secrets_in(form):
            await self._on_secret(secret)
        answer = await self._line.exchange("POST", login.url(settings), headers={}, data=form)
        return login.read(answer, settings, now=self._meter.now())
