"""One token for all threads of a process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from airflow_provider_sfleads.core.token import Grant
from airflow_provider_sfleads.exceptions import SalesforceLeadsError


@dataclass(frozen=True, slots=True)
class Token:
    """A token in use.

    :param generation: counts the tokens of this process from 1.
    """

    generation: int
    grant: Grant

    @property
    def base_url(self) -> str:
        """Origin that requests with this token go to."""
        return self.grant.host.url


@dataclass(slots=True)
class TokenStore:
    """Holds the token; whoever needs a new one first fetches it for all.

    A failure to fetch one is shared with all that waited for it, so that threads do not hammer the token endpoint one
    after the other; one that a retry cannot mend is kept for good.

    :param mint: fetches a token.
    """

    mint: Callable[[], Grant]
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _token: Token | None = None
    _accepted: int = 0
    _failures: int = 0
    _failure: SalesforceLeadsError | None = None

    def peek(self) -> Token | None:
        """Return the token if there is one."""
        return self._token

    def current(self) -> Token:
        """Return the token, fetching the first one."""
        return self._token or self._fetch(0)

    def accept(self, token: Token) -> None:
        """Note that Salesforce took ``token``."""
        self._accepted = max(self._accepted, token.generation)

    def renew(self, stale: Token) -> Token | None:
        """Return a token newer than ``stale``, or ``None`` where none can help.

        That is where ``stale`` was itself fetched in place of a refused one, and never taken.
        """
        if stale.generation > 1 and self._accepted < stale.generation and self._token is stale:
            return None
        return self._fetch(stale.generation)

    def _fetch(self, stale: int) -> Token:
        failures = self._failures
        with self._lock:
            if self._token is not None and self._token.generation > stale:
                return self._token
            if self._failure is not None and (self._failures > failures or not self._failure.transient):
                raise type(self._failure)(*self._failure.args)
            try:
                grant = self.mint()
            except SalesforceLeadsError as error:
                self._failures, self._failure = self._failures + 1, error
                raise
            self._token = Token(stale + 1, grant)
            return self._token
