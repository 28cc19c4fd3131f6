"""Send calls to one org from any number of threads, over one connection pool and with one token."""

from __future__ import annotations

import logging
import random as chance
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from requests import Response, Session  # noqa: TC002 - resolvable at run time
from tenacity import Retrying

from airflow_provider_sfleads.exceptions import SalesforceLeadsError
from airflow_provider_sfleads.salesforce.backoff import Backoff, TryAgain
from airflow_provider_sfleads.salesforce.base_client import BaseClient
from airflow_provider_sfleads.salesforce.connection import POOL_SIZE, Deadline
from airflow_provider_sfleads.salesforce.network_errors import NoResponse
from airflow_provider_sfleads.salesforce.oauth import Grant
from airflow_provider_sfleads.salesforce.request import RawResponse, Request, prepare
from airflow_provider_sfleads.salesforce.response_policy import Again, Renew, Take
from airflow_provider_sfleads.salesforce.session import PooledSession
from airflow_provider_sfleads.salesforce.settings import Settings
from airflow_provider_sfleads.salesforce.throttle import Throttle
from airflow_provider_sfleads.salesforce.token_request import read_grant, secrets_in, token_form, token_url
from airflow_provider_sfleads.salesforce.token_store import Token, TokenStore
from airflow_provider_sfleads.salesforce.wire import Call, Reply

_log = logging.getLogger(__name__)


class Client(BaseClient):
    """Sends calls to one org over a pooled keep-alive session; safe to share between threads.

    What a retry can mend is tried again where a repeat is safe: always when Salesforce did not begin the work, else
    only for repeatable calls. Timeouts apply to everything, redirects are never followed. While the org is
    overloaded, its threads wait for each other: see :class:`~.throttle.Throttle`.

    :param settings: the connection.
    :param sleep: waits between attempts.
    :param random: draws from [0, 1) for the jitter of the waits.
    :param now: wall clock in seconds since the epoch.
    :param clock: seconds on a clock that never goes back; it and ``sleep`` go together.
    :param on_secret: told every token and assertion before it is used, to mask it in logs.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = chance.random,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        on_secret: Callable[[str], object] = lambda _secret: None,
    ) -> None:
        self._on_secret = on_secret
        self._sleep = sleep
        self._tokens = TokenStore(self._request_token)
        super().__init__(settings, self._tokens, now)
        self._backoff = Backoff(settings.retries, random)
        self._http = PooledSession(settings, token=self._bearer)
        self._throttle = Throttle(highest=POOL_SIZE, longest=settings.retries.cap, sleep=sleep, clock=clock)

    @property
    def session(self) -> Session:
        """The session itself; requests made on it carry the token if they go to the org, and are not retried."""
        return self._http.session

    @property
    def base_url(self) -> str:
        """Origin that calls go to; the configured host before the first token."""
        token = self._tokens.peek()
        return token.base_url if token else self.settings.host.url

    @property
    def user_id(self) -> str | None:
        """Id of the Run-As user, where the token reply named it; fetches a token if need be."""
        return self._tokens.current().grant.user_id

    @property
    def org_id(self) -> str | None:
        """Id of the org, likewise."""
        return self._tokens.current().grant.org_id

    def login(self) -> None:
        """Fetch the token, where there is none yet."""
        self._tokens.current()

    def close(self) -> None:
        """Close the pooled connections."""
        self.session.close()

    def send(self, call: Call) -> Reply:
        """Send a call, and return the answer: 2xx, 300, 304, or a refusal (4xx) that is the caller's to judge.

        A :class:`~airflow_provider_sfleads.salesforce.wire.FileBody` goes out in pieces.

        :raises ApiLimitError: at a request limit; before sending, where a write would pass ``max_api_usage``.
        :raises AuthenticationError: where no token is given, or none is taken.
        :raises RequestRefusedError: where Salesforce no longer serves the API version.
        :raises ServiceUnavailableError: where the retries are used up; nothing was written.
        :raises ConnectionFailedError: likewise, where the request never left.
        :raises OutcomeUnknownError: where Salesforce may have carried out the call, and did not say.
        """
        return self.fetch(call)[0]

    def download(self, call: Call, path: Path) -> Reply:
        """Send a call that is answered with CSV, and write the rows to ``path`` in pieces, all of them or nothing.

        A stream that is cut is read anew from its start. A refusal (4xx) is returned, as by :meth:`send`, and writes
        nothing; of rows the reply has status and headers, and no body.

        :param path: replaced where it exists.
        :raises OSError: where it cannot be written.
        """
        return self._send(prepare(call, self.settings, into=path))[0]

    def fetch(self, call: Call, *, timeout: float | None = None) -> tuple[Reply, Response]:
        """Send a call as :meth:`send` does, and return the HTTP response beside the reply."""
        return self._send(prepare(call, self.settings, timeout=timeout))

    def _send(self, request: Request) -> tuple[Reply, Response]:
        request.check_usage(self.api_usage)
        try:
            return self._attempt(request) if request.call.once else self._retrying()(self._attempt, request)
        except (TryAgain, SalesforceLeadsError) as last:
            error = request.final_error(last)
        raise error

    def _retrying(self) -> Retrying:
        return Retrying(sleep=self._sleep, **self._backoff.arguments())

    def _attempt(self, request: Request) -> tuple[Reply, Response]:
        call = request.call
        with self._turn(request):
            token = self._tokens.current()
            headers = request.headers_with(token)
            leaves_by = Deadline.after(self.settings.stale) if call.write else None
            if call.announce is not None:
                call.announce()
            found = self._http.exchange(
                call.method,
                token.base_url + request.path,
                headers=headers,
                params=call.params,
                data=request.data,
                into=request.into,
                most=call.most,
                timeout=request.timeout,
                leaves_by=leaves_by,
            )
            if isinstance(found, NoResponse):
                self._fail(request, token, found)
            response, saved = found
            reply = self._evaluate(request, token, _raw(response, saved=saved))
        return self._renew(request, token, reply) if isinstance(reply, Renew) else (reply, response)

    @contextmanager
    def _turn(self, request: Request) -> Iterator[None]:
        """Wait for a turn, and tell the throttle what the response says of the org's load, whatever becomes of it."""
        with self._throttle.turn() as era:
            request.decision = None
            try:
                yield
            finally:
                if isinstance(request.decision, Take):
                    self._throttle.served(era)
                elif isinstance(request.decision, Again) and request.decision.overload:
                    self._throttle.overloaded(era, request.decision.retry_after)

    def _renew(self, request: Request, token: Token, refused: Renew) -> tuple[Reply, Response]:
        """Repeat a call whose token was refused; safe for every call, for it was not begun."""
        newer = self._tokens.renew(token) if request.may_renew else None
        if newer is None:
            raise refused.error
        request.renewals += 1
        return self._attempt(request)

    def _bearer(self) -> tuple[str, str]:
        token = self._tokens.current()
        return token.base_url, token.grant.access_token

    def _request_token(self) -> Grant:
        try:
            grant = self._retrying()(self._request_token_once)
        except TryAgain as last:
            error = last.again.error
        else:
            self._on_secret(grant.access_token)
            _log.info("Got a token for %s (connection %r)", grant.host.name, self.settings.conn_id)
            return grant
        raise error

    def _request_token_once(self) -> Grant:
        self._count_token_request()
        form = token_form(self.settings, now=self._now())
        for secret in secrets_in(form):
            self._on_secret(secret)
        found = self._http.exchange("POST", token_url(self.settings), headers={}, data=form)
        response = found if isinstance(found, NoResponse) else _raw(found[0])
        return read_grant(response, self.settings, now=self._now())


def _raw(response: Response, *, saved: bool = False) -> RawResponse:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return RawResponse(response.status_code, headers, None if saved else response.content)
