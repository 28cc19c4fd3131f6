"""What a client keeps account of: requests sent, and what each answer tells beside its body."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NoReturn

from airflow_provider_sfleads.core.limits import ApiUsage, parse_http_date, parse_limit_info
from airflow_provider_sfleads.core.wire import Reply
from airflow_provider_sfleads.transport.failures import Failure
from airflow_provider_sfleads.transport.flight import Flight, Heard
from airflow_provider_sfleads.transport.tokens import HeldToken, Token
from airflow_provider_sfleads.transport.verdict import Renew

_A_YEAR = 365 * 86_400.0


class Meter:
    """Counters that threads share.

    :param now: wall clock in seconds since the epoch.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.api_calls = 0
        self.token_requests = 0
        self.usage: ApiUsage | None = None
        self._clock: tuple[str, float] | None = None
        self._lock = threading.Lock()

    @property
    def server_time_offset(self) -> float | None:
        """Seconds that Salesforce's clock is ahead of this machine's, by the newest answer; exact to about a second."""
        clock = self._clock
        moment = parse_http_date(clock[0]) if clock else None
        if clock is None or moment is None or abs(moment - clock[1]) > _A_YEAR:
            # A clock that is so wrong is none.
            return None
        return moment - clock[1]

    def heard(self, flight: Flight, answer: Heard) -> None:
        """Take down an answer."""
        self.sent(flight)
        usage = parse_limit_info(answer.headers.get("sforce-limit-info"))
        if usage is not None:
            self.usage = usage
        if (date := answer.headers.get("date")) is not None:
            self._clock = (date, self.now())

    def sent(self, flight: Flight) -> None:
        """Count a request that Salesforce may have received."""
        if flight.counts:
            with self._lock:
                self.api_calls += 1

    def asked(self) -> None:
        """Count a token request."""
        with self._lock:
            self.token_requests += 1


class Metered:
    """What the two clients, the one that blocks and the one that awaits, have in common: account and judgement.

    :param meter: keeps the account.
    :param held: the token in use.
    """

    def __init__(self, meter: Meter, held: HeldToken) -> None:
        self._meter = meter
        self._held = held

    @property
    def api_usage(self) -> ApiUsage | None:
        """The org's API usage by the newest reply; ``None`` before the first."""
        return self._meter.usage

    @property
    def api_calls(self) -> int:
        """REST requests sent that count against the org's allowance."""
        return self._meter.api_calls

    @property
    def token_requests(self) -> int:
        """Token requests sent."""
        return self._meter.token_requests

    @property
    def server_time_offset(self) -> float | None:
        """Seconds that Salesforce's clock is ahead of this machine's, by the newest reply; exact to about a second."""
        return self._meter.server_time_offset

    def _lost(self, flight: Flight, token: Token, failure: Failure) -> NoReturn:
        """Take down and tell that an attempt got no answer.

        :raises TryAgain: where sending again may help, and is safe.
        """
        if failure.sent:
            self._meter.sent(flight)
        flight.lost(failure, host=token.base_url)

    def _judged(self, flight: Flight, token: Token, heard: Heard, *, doubtful_before: bool) -> Reply | Renew:
        """Take down an answer, and judge it; see :meth:`.flight.Flight.landed`."""
        self._meter.heard(flight, heard)
        if heard.status != 401:  # noqa: PLR2004
            self._held.accept(token)
        return flight.landed(heard, doubtful_before=doubtful_before, now=self._meter.now())
