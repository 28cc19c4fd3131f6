"""Send calls to one org from any number of threads, over one connection pool and with one token."""

from __future__ import annotations

import logging
import random as chance
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from requests import PreparedRequest, Response, Session  # noqa: TC002 - resolvable at run time
from tenacity import Retrying

from airflow_provider_sfleads.exceptions import SalesforceLeadsError
from airflow_provider_sfleads.salesforce.connection import POOL_SIZE, Deadline
from airflow_provider_sfleads.salesforce.oauth import Grant, read_grant, secrets_in, token_form, token_url
from airflow_provider_sfleads.salesforce.request import Decision, Request, prepare
from airflow_provider_sfleads.salesforce.response_policy import Backoff, Renew, TryAgain
from airflow_provider_sfleads.salesforce.session import PooledSession
from airflow_provider_sfleads.salesforce.settings import Settings
from airflow_provider_sfleads.salesforce.throttle import Throttle
from airflow_provider_sfleads.salesforce.token_store import BaseTokenStore, Token, TokenStore
from airflow_provider_sfleads.salesforce.wire import (
    ApiUsage,
    Call,
    NoResponse,
    RawResponse,
    Reply,
    parse_http_date,
    parse_limit_info,
)

_log = logging.getLogger(__name__)
_A_YEAR = 365 * 86_400.0


class BaseClient:
    """Counts requests and notes what each response tells beside its body, for threads and for event loops."""

    def __init__(self, settings: Settings, tokens: BaseTokenStore, now: Callable[[], float]) -> None:
        self.settings = settings
        self._token_store = tokens
        self._now = now
        #: REST requests sent that count against the org's allowance.
        self.api_calls = 0
        #: Token requests sent.
        self.token_requests = 0
        #: The org's API usage by the newest response; ``None`` before the first.
        self.api_usage: ApiUsage | None = None
        self._server_date: tuple[str, float] | None = None
        self._counting = threading.Lock()

    @property
    def server_time_offset(self) -> float | None:
        """Seconds that Salesforce's clock is ahead of this machine's by the newest response, to about a second."""
        date, received_at = self._server_date or ("", 0.0)
        moment = parse_http_date(date)
        # A clock that is wrong by years is none.
        return None if moment is None or abs(moment - received_at) > _A_YEAR else moment - received_at

    def _token_form(self) -> dict[str, str]:
        """Return what is posted for a token, and count the request."""
        with self._counting:
            self.token_requests += 1
        return token_form(self.settings, now=self._now())

    def _judge(self, request: Request, token: Token, found: RawResponse | NoResponse) -> Decision:
        """Count an attempt, note what its response tells, and return what it comes to."""
        if request.counts_as_api_call and (isinstance(found, RawResponse) or found.sent):
            with self._counting:
                self.api_calls += 1
        if isinstance(found, RawResponse):
            if (usage := parse_limit_info(found.headers.get("sforce-limit-info"))) is not None:
                self.api_usage = usage
            if (date := found.headers.get("date")) is not None:
                self._server_date = (date, self._now())
            if found.status != 401:  # noqa: PLR2004
                self._token_store.accept(token)
        return request.judge(found, host=token.base_url, now=self._now())


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
        self._http = PooledSession(settings, sign=self._sign)
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
            return self._retrying(once=request.call.once)(self._attempt, request)
        except SalesforceLeadsError as last:
            error = request.final_error(last)
        raise error

    def _retrying(self, *, once: bool = False) -> Retrying:
        return Retrying(sleep=self._sleep, **self._backoff.arguments(once=once))

    def _attempt(self, request: Request) -> tuple[Reply, Response]:
        call = request.call
        while True:
            with self._throttle.turn() as era:
                token = self._tokens.current()
                leaves_by = Deadline.after(self.settings.stale) if call.write else None
                if call.announce is not None:
                    call.announce()
                found, response = self._http.exchange(
                    call.method,
                    token.base_url + request.target,
                    headers={**request.headers, **token.headers},
                    data=request.data,
                    into=request.into,
                    most=call.most,
                    timeout=request.timeout,
                    leaves_by=leaves_by,
                )
                decision = self._judge(request, token, found)
                if isinstance(decision, Reply):
                    self._throttle.served(era)
                elif isinstance(decision, TryAgain) and decision.overload:
                    self._throttle.overloaded(era, decision.retry_after)
            if not isinstance(decision, Renew):
                return request.settle(decision), response
            if not request.may_renew() or self._tokens.renew(token) is None:
                raise decision.error

    def _sign(self, request: PreparedRequest) -> PreparedRequest:
        """Add the token to a request to the org, and to no other."""
        token = self._tokens.current()
        asked, own = urlsplit(request.url or ""), urlsplit(token.base_url)
        if (asked.scheme, asked.netloc.lower()) == (own.scheme, own.netloc):
            request.headers.update(token.headers)
        return request

    def _request_token(self) -> Grant:
        grant = self._retrying()(self._request_token_once)
        self._on_secret(grant.access_token)
        _log.info("Got a token for %s (connection %r)", grant.host.name, self.settings.conn_id)
        return grant

    def _request_token_once(self) -> Grant:
        form = self._token_form()
        for secret in secrets_in(form):
            self._on_secret(secret)
        found, _ = self._http.exchange("POST", token_url(self.settings), headers={}, data=form)
        return read_grant(found, self.settings, now=self._now())
