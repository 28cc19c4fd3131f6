"""Wait between attempts of a request: exponential backoff, for the client that blocks and the one that awaits."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from tenacity import RetryCallState, retry_if_exception_type

from airflow_provider_sfleads.salesforce.response_policy import Again
from airflow_provider_sfleads.salesforce.settings import Retries

_log = logging.getLogger(__name__)


class TryAgain(Exception):  # noqa: N818
    """Carries what asks for another attempt out of one."""

    def __init__(self, again: Again) -> None:
        super().__init__()
        self.again = again


class Backoff:
    """Exponential backoff with full jitter, bounded in attempts and time.

    ``Retry-After`` is honoured up to the longest wait.

    :param random: draws from [0, 1).
    """

    def __init__(self, retries: Retries, random: Callable[[], float]) -> None:
        self._retries = retries
        self._random = random

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of a tenacity ``Retrying`` or ``AsyncRetrying``, less ``sleep``."""
        return {
            "retry": retry_if_exception_type(TryAgain),
            "wait": self._wait,
            "stop": self._stop,
            "before_sleep": self._log_attempt,
            "reraise": True,
        }

    def _wait(self, state: RetryCallState) -> float:
        retries = self._retries
        asked = _again(state).retry_after
        if asked is not None:
            # Jitter on top, so that threads told the same moment do not come back in step.
            return min(retries.cap, asked + retries.base * self._random())
        return min(retries.cap, retries.base * 2.0**state.attempt_number) * self._random()

    def _stop(self, state: RetryCallState) -> bool:
        retries = self._retries
        spent = max(state.seconds_since_start or 0.0, state.idle_for)
        return state.attempt_number >= retries.attempts or spent + state.upcoming_sleep > retries.total

    def _log_attempt(self, state: RetryCallState) -> None:
        """Warn once that something passing is in the way, and how long it is outlasted; of later attempts only tell."""
        retries, error = self._retries, _again(state).error
        is_first = state.attempt_number == 1
        _log.log(
            logging.WARNING if is_first else logging.INFO,
            "Attempt %d of %d failed, next in %.1f s%s: %s",
            state.attempt_number,
            retries.attempts,
            state.upcoming_sleep,
            f", {retries.cap:.0f} s at most between attempts" if is_first else "",
            error,
        )


def _again(state: RetryCallState) -> Again:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, TryAgain):  # nothing else is retried
        raise TypeError(type(error).__name__)
    return error.again
