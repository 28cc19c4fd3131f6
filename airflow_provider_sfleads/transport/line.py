"""The line to Salesforce: one exchange at a time, and the rhythm of trying again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from requests import PreparedRequest, RequestException, Response
from requests.auth import AuthBase  # noqa: TC002 - resolvable at run time
from tenacity import RetryCallState, Retrying, retry_if_exception_type

from airflow_provider_sfleads import __version__
from airflow_provider_sfleads.transport import sockets
from airflow_provider_sfleads.transport.failures import Failure, explain
from airflow_provider_sfleads.transport.settings import Settings
from airflow_provider_sfleads.transport.verdict import Again

CLIENT_NAME = f"airflow-provider-sfleads/{__version__}"
_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "User-Agent": CLIENT_NAME,
    "Connection": "keep-alive",
}
_log = logging.getLogger(__name__)


class TryAgain(Exception):  # noqa: N818
    """Carries what asks for another attempt out of one."""

    def __init__(self, again: Again) -> None:
        super().__init__()
        self.again = again


class Line:
    """A pooled session and how to use it.

    :param auth: gives requests made directly on :attr:`session` their token.
    :param sleep: waits some seconds.
    :param random: draws from [0, 1).
    """

    def __init__(
        self, settings: Settings, *, auth: AuthBase, sleep: Callable[[float], None], random: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._sleep = sleep
        self._random = random
        self.session = sockets.open_session(auth=auth, loopback=settings.host.loopback)
        self.session.headers.update(_HEADERS)
        # Read from the environment once: requests does so anew for each request.
        found = self.session.merge_environment_settings(
            settings.host.url, proxies=dict(settings.proxies or {}), stream=False, verify=settings.verify, cert=None
        )
        self._environment: dict[str, Any] = dict(found)
        self.session.verify = self._environment["verify"]
        self.session.proxies = dict(self._environment["proxies"])

    def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None = None,
        data: bytes | Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Response | Failure:
        """Send one request once; no redirect is followed."""
        request = PreparedRequest()
        request.prepare(method, url, {**_HEADERS, **headers}, params=params, data=data)
        sockets.begin()
        try:
            return self.session.send(
                request, timeout=timeout or self._settings.timeout, allow_redirects=False, **self._environment
            )
        except RequestException as error:
            return explain(error, sent=sockets.was_sent())

    def retrying(self) -> Retrying:
        """Return a fresh rhythm: exponential backoff with full jitter, bounded in attempts and time.

        ``Retry-After`` is honoured up to the longest wait.
        """
        return Retrying(
            retry=retry_if_exception_type(TryAgain),
            wait=self._wait,
            stop=self._stop,
            sleep=self._sleep,
            before_sleep=self._say,
            reraise=True,
        )

    def _wait(self, state: RetryCallState) -> float:
        retries = self._settings.retries
        asked = _again(state).retry_after
        if asked is not None:
            # Jitter on top, so that threads told the same moment do not come back in step.
            return min(retries.cap, asked + retries.base * self._random())
        return min(retries.cap, retries.base * 2.0**state.attempt_number) * self._random()

    def _stop(self, state: RetryCallState) -> bool:
        retries = self._settings.retries
        spent = max(state.seconds_since_start or 0.0, state.idle_for)
        return state.attempt_number >= retries.attempts or spent + state.upcoming_sleep > retries.total

    def _say(self, state: RetryCallState) -> None:
        retries = self._settings.retries
        _log.warning(
            "Attempt %d of %d failed, next in %.1f s: %s",
            state.attempt_number,
            retries.attempts,
            state.upcoming_sleep,
            _again(state).error,
        )


def _again(state: RetryCallState) -> Again:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, TryAgain):  # the rhythm retries nothing else
        raise TypeError(type(error).__name__)
    return error.again
