"""The client: one connection, one token, any number of threads."""

from __future__ import annotations

import logging
import random as chance
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

from requests import Response, Session  # noqa: TC002 - resolvable at run time

from airflow_provider_sfleads.core.limits import ApiUsage, parse_http_date, parse_limit_info, parse_retry_after
from airflow_provider_sfleads.core.replies import call_name
from airflow_provider_sfleads.core.token import Grant
from airflow_provider_sfleads.core.wire import Call, Reply
from airflow_provider_sfleads.exceptions import (
    ApiLimitError,
    ConnectionFailedError,
    OutcomeUnknownError,
    SalesforceLeadsError,
    ServiceUnavailableError,
)
from airflow_provider_sfleads.transport import login
from airflow_provider_sfleads.transport.codec import decode, encode
from airflow_provider_sfleads.transport.failures import Failure
from airflow_provider_sfleads.transport.line import CLIENT_NAME, Line, TryAgain
from airflow_provider_sfleads.transport.settings import Settings
from airflow_provider_sfleads.transport.sockets import BearerAuth
from airflow_provider_sfleads.transport.tokens import Token, TokenStore
from airflow_provider_sfleads.transport.verdict import Again, Answer, Fail, Renew, Verdict, judge

_VERSIONS = "/services/data"
# Resources whose documentation lists Sforce-Call-Options; collections are not among them.
_NAMED = ("sobjects/", "query", "queryAll", "jobs/")
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Flight:
    """One call on its way, over all its attempts."""

    call: Call
    path: str
    headers: dict[str, str]
    data: bytes | None = field(repr=False)
    timeout: float | None
    renewed: bool = False
    doubtful: bool = False


class Client:
    """Sends calls to one org over a pooled keep-alive session; safe to share between threads.

    What a retry can mend is tried again where a repeat is safe: always when Salesforce did not begin the work, else
    only for repeatable calls. Timeouts apply to everything, redirects are never followed.

    :param settings: the connection.
    :param sleep: waits between attempts.
    :param random: draws from [0, 1) for the jitter of the waits.
    :param now: wall clock in seconds since the epoch.
    :param on_secret: told every token before it is used, to mask it in logs.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = chance.random,
        now: Callable[[], float] = time.time,
        on_secret: Callable[[str], object] = lambda _secret: None,
    ) -> None:
        self.settings = settings
        self._now = now
        self._on_secret = on_secret
        self._tokens = TokenStore(self._mint)
        self._line = Line(settings, auth=BearerAuth(self._bearer), sleep=sleep, random=random)
        self._lock = threading.Lock()
        self._api_calls = 0
        self._token_requests = 0
        self._usage: ApiUsage | None = None
        self._clock: tuple[str, float] | None = None

    @property
    def session(self) -> Session:
        """The session itself; requests made on it carry the token if they go to the org, and are not retried."""
        return self._line.session

    @property
    def api_usage(self) -> ApiUsage | None:
        """The org's API usage by the newest reply; ``None`` before the first."""
        return self._usage

    @property
    def api_calls(self) -> int:
        """REST requests sent that count against the org's allowance."""
        return self._api_calls

    @property
    def token_requests(self) -> int:
        """Token requests sent."""
        return self._token_requests

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

    @property
    def server_time_offset(self) -> float | None:
        """Seconds that Salesforce's clock is ahead of this machine's, by the newest reply; exact to about a second."""
        clock = self._clock
        moment = parse_http_date(clock[0]) if clock else None
        return None if clock is None or moment is None else moment - clock[1]

    def login(self) -> None:
        """Fetch the token, where there is none yet."""
        self._tokens.current()

    def close(self) -> None:
        """Close the pooled connections."""
        self._line.session.close()

    def send(self, call: Call) -> Reply:
        """Send a call, and return the answer: 2xx, 300, 304, or a refusal (4xx) that is the caller's to judge.

        :raises ApiLimitError: at a request limit; before sending, where a write would pass ``max_api_usage``.
        :raises AuthenticationError: where no token is given, or none is taken.
        :raises RequestRefusedError: where Salesforce no longer serves the API version.
        :raises ServiceUnavailableError: where the retries are used up; nothing was written.
        :raises ConnectionFailedError: likewise, where the request never left.
        :raises OutcomeUnknownError: where Salesforce may have carried out the call, and did not say.
        """
        return self.fetch(call)[0]

    def fetch(self, call: Call, *, timeout: float | None = None) -> tuple[Reply, Response]:
        """Send a call as :meth:`send` does, and return the HTTP response beside the reply."""
        self._check_usage(call)
        flight = self._prepare(call, timeout)
        try:
            return self._attempt(flight) if call.once else self._line.retrying()(self._attempt, flight)
        except TryAgain as last:
            error = last.again.error
            error.retry_after = last.again.retry_after
        except SalesforceLeadsError as failed:
            if not (flight.doubtful and call.write) or isinstance(failed, OutcomeUnknownError):
                raise
            error = failed
        raise self._unknown(call, error) if flight.doubtful and call.write else error

    def _unknown(self, call: Call, error: SalesforceLeadsError) -> OutcomeUnknownError:
        return OutcomeUnknownError(
            f"{call_name(call)} (connection {self.settings.conn_id!r}) was sent, and whether Salesforce carried it "
            "out is not "
            "known. Look the records up before sending them again; it may still take effect for 10 minutes. Last "
            f"word: {error}"
        )

    def _prepare(self, call: Call, timeout: float | None) -> _Flight:
        version = f"/services/data/v{self.settings.api_version}/"
        path = call.path if call.path.startswith("/") else version + call.path
        headers = dict(call.headers)
        if path.removeprefix(version).startswith(_NAMED):
            headers.setdefault("Sforce-Call-Options", f"client={CLIENT_NAME}")
        data = None
        if call.body is not None:
            data, content_type = encode(call.body)
            headers.setdefault("Content-Type", content_type)
        return _Flight(call, path, headers, data, timeout)

    def _attempt(self, flight: _Flight) -> tuple[Reply, Response]:
        call = flight.call
        token = self._tokens.current()
        doubtful_before = flight.doubtful
        response = self._line.exchange(
            call.method,
            token.base_url + flight.path,
            headers={**flight.headers, "Authorization": f"Bearer {token.grant.access_token}"},
            params=call.params,
            data=flight.data,
            timeout=flight.timeout,
        )
        if isinstance(response, Failure):
            self._raise(flight, self._lost(flight, response))
        self._note(flight, response, token)
        body, readable = decode(response.content, response.headers.get("Content-Type", ""))
        verdict = self._judge(call, response, body, readable=readable)
        if isinstance(verdict, Renew):
            return self._renew(flight, token, verdict)
        if isinstance(verdict, Fail):
            raise verdict.error
        if isinstance(verdict, Again):
            self._raise(flight, verdict)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Reply(status=response.status_code, body=body, headers=headers, repeated=doubtful_before), response

    def _raise(self, flight: _Flight, again: Again) -> NoReturn:
        if again.ambiguous and not flight.call.repeatable:
            raise self._unknown(flight.call, again.error)
        flight.doubtful = flight.doubtful or again.ambiguous
        raise TryAgain(again)

    def _renew(self, flight: _Flight, token: Token, verdict: Renew) -> tuple[Reply, Response]:
        """Repeat a call whose token was refused, once; safe for every call, for it was not begun."""
        newer = None if flight.renewed else self._tokens.renew(token)
        if newer is None:
            raise verdict.error
        flight.renewed = True
        return self._attempt(flight)

    def _judge(self, call: Call, response: Response, body: object, *, readable: bool) -> Verdict:
        answer = Answer(
            status=response.status_code,
            body=body,
            readable=readable,
            retry_after=parse_retry_after(response.headers.get("Retry-After"), now=self._now()),
            location=response.headers.get("Location"),
        )
        return judge(call, answer, conn_id=self.settings.conn_id, api_version=self.settings.api_version)

    def _lost(self, flight: _Flight, failure: Failure) -> Again:
        what = f"{call_name(flight.call)} (connection {self.settings.conn_id!r})"
        if not failure.sent:
            text = (
                f"{what} did not reach {self.base_url}: {failure.reason}. Check the network and proxies, then try "
                "again."
            )
            return Again(ConnectionFailedError(text), ambiguous=False)
        self._count(flight)
        text = (
            f"{what} was sent and not answered: {failure.reason}. Try again later; if it comes back, raise timeout "
            "or lower batch_size."
        )
        return Again(ServiceUnavailableError(text), ambiguous=True)

    def _note(self, flight: _Flight, response: Response, token: Token) -> None:
        """Take down what every answer tells beside its body."""
        usage = parse_limit_info(response.headers.get("Sforce-Limit-Info"))
        date = response.headers.get("Date")
        self._count(flight)
        if usage is not None:
            self._usage = usage
        if date is not None:
            self._clock = (date, self._now())
        if response.status_code != 401:  # noqa: PLR2004
            self._tokens.accept(token)

    def _count(self, flight: _Flight) -> None:
        if flight.path.rstrip("/") != _VERSIONS:
            with self._lock:
                self._api_calls += 1

    def _check_usage(self, call: Call) -> None:
        usage, limit = self._usage, self.settings.max_api_usage
        if call.write and usage is not None and usage.share > limit:
            raise ApiLimitError(
                f"The org has used {usage.used} of its {usage.max} API requests of the last 24 hours, more than "
                "max_api_usage "
                f"{limit:g} of connection {self.settings.conn_id!r}; {call_name(call)} was not sent. Retry when the "
                "share has come "
                "down, or raise max_api_usage."
            )

    def _bearer(self) -> tuple[str, str]:
        token = self._tokens.current()
        return token.base_url, token.grant.access_token

    def _mint(self) -> Grant:
        try:
            grant = self._line.retrying()(self._ask)
        except TryAgain as last:
            error = last.again.error
        else:
            self._on_secret(grant.access_token)
            _log.info("Got a token for %s (connection %r)", grant.host.name, self.settings.conn_id)
            return grant
        raise error

    def _ask(self) -> Grant:
        with self._lock:
            self._token_requests += 1
        return login.ask(self._line, self.settings, now=self._now())
