"""What a client keeps account of: requests sent, and what each answer tells beside its body."""

from __future__ import annotations

import threading
from collections.abc import Callable

from airflow_provider_sfleads.core.limits import ApiUsage, parse_http_date, parse_limit_info
from airflow_provider_sfleads.transport.flight import Flight, Heard


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
        return None if clock is None or moment is None else moment - clock[1]

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
