"""Share one token among all that use a client, threads or tasks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from airflow_provider_sfleads.exceptions import SalesforceLeadsError
from airflow_provider_sfleads.salesforce.oauth import Grant


@dataclass(frozen=True, slots=True)
class Token:
    """A token in use.

    :param generation: counts the tokens of this client from 1.
    """

    generation: int
    grant: Grant

    @property
    def base_url(self) -> str:
        """Origin that requests with this token go to."""
        return self.grant.host.url

    @property
    def headers(self) -> dict[str, str]:
        """What those requests carry."""
        return {"Authorization": f"Bearer {self.grant.access_token}"}


class BaseTokenStore:
    """Holds the token, or why there is none.

    A failure to fetch one is shared with all that waited for it, so that they do not hammer the token endpoint one
    after the other; one that a retry cannot mend is kept for good.
    """

    def __init__(self) -> None:
        self._token: Token | None = None
        self._accepted = 0
        self._failures = 0
        self._failure: SalesforceLeadsError | None = None

    def peek(self) -> Token | None:
        """Return the token if there is one."""
        return self._token

    def accept(self, token: Token) -> None:
        """Note that Salesforce took ``token``."""
        self._accepted = max(self._accepted, token.generation)

    def _hopeless(self, stale: Token) -> bool:
        """Return whether ``stale`` was itself fetched in place of a refused one, and never taken.

        No newer one can help.
        """
        return stale.generation > 1 and self._accepted < stale.generation and self._token is stale

    def _newer(self, stale: int, failures: int) -> Token | None:
        """Return a newer token than ``stale`` that another has fetched meanwhile.

        :param failures: how many there had been before the wait.
        """
        if self._token is not None and self._token.generation > stale:
            return self._token
        if self._failure is not None and (self._failures > failures or not self._failure.transient):
            failure = type(self._failure)(*self._failure.args)
            failure.retry_after = self._failure.retry_after
            raise failure
        return None


class TokenStore(BaseTokenStore):
    """Holds the token for threads; whoever needs a new one first fetches it for all.

    :param request: asks for a token.
    """

    def __init__(self, request: Callable[[], Grant]) -> None:
        super().__init__()
        self._request = request
        self._lock = threading.Lock()

    def current(self) -> Token:
        """Return the token, fetching the first one."""
        return self._token or self._fetch(0)

    def renew(self, stale: Token) -> Token | None:
        """Return a token newer than ``stale``, or ``None`` where none can help."""
        return None if self._hopeless(stale) else self._fetch(stale.generation)

    def _fetch(self, stale: int) -> Token:
        failures = self._failures
        with self._lock:
            newer = self._newer(stale, failures)
            try:
                self._token = newer or Token(stale + 1, self._request())
            except SalesforceLeadsError as error:
                self._failures, self._failure = self._failures + 1, error
                raise
            return self._token


class AsyncTokenStore(BaseTokenStore):
    """Holds the token for the tasks of an event loop, likewise.

    :param request: asks for a token.
    """

    def __init__(self, request: Callable[[], Awaitable[Grant]]) -> None:
        super().__init__()
        self._request = request
        self._lock = asyncio.Lock()

    async def current(self) -> Token:
        """Return the token, fetching the first one."""
        return self._token or await self._fetch(0)

    async def renew(self, stale: Token) -> Token | None:
        """Return a token newer than ``stale``, or ``None`` where none can help."""
        return None if self._hopeless(stale) else await self._fetch(stale.generation)

    async def _fetch(self, stale: int) -> Token:
        failures = self._failures
        async with self._lock:
            newer = self._newer(stale, failures)
            try:
                self._token = newer or Token(stale + 1, await self._request())
            except SalesforceLeadsError as error:
                self._failures, self._failure = self._failures + 1, error
                raise
            return self._token
