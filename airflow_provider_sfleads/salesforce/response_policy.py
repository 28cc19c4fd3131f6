"""What to do about one answer, for any HTTP library: take it, send again and when, renew the token, or give up."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tenacity import RetryCallState, retry_if_exception_type

from airflow_provider_sfleads.exceptions import (
    ApiAccessError,
    ApiLimitError,
    ConcurrencyLimitError,
    RequestRefusedError,
    SalesforceLeadsError,
    ServiceUnavailableError,
    SessionRejectedError,
    WrongHostError,
)
from airflow_provider_sfleads.salesforce.error_codes import SESSION_OVER, VERSION_RETIRED, ErrorCode, advice_for
from airflow_provider_sfleads.salesforce.replies import ApiError, call_name, errors_in, plain_text, used_up
from airflow_provider_sfleads.salesforce.settings import Retries, Settings
from airflow_provider_sfleads.salesforce.wire import Call, Reply

_log = logging.getLogger(__name__)
_SLOW_DOWN = frozenset({429, 503})
_PASSING = frozenset({408, 420, 429})
_SERVER_ERROR = 500
_HOST = re.compile(r"[\w.:-]{1,260}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Renew:
    """The token was refused; a new one may be taken.

    :param error: what to raise where a new one was refused too.
    """

    error: SalesforceLeadsError


@dataclass(eq=False)
class TryAgain(Exception):  # noqa: N818
    """Sending again may help.

    :param error: what to raise when no attempt is left.
    :param ambiguous: whether Salesforce may have carried the request out.
    :param retry_after: seconds that the server asks to wait.
    :param overload: whether the org has too much to do, so that other calls had better wait as well.
    """

    error: SalesforceLeadsError
    ambiguous: bool
    retry_after: float | None = None
    overload: bool = False


def decide(
    call: Call, reply: Reply, settings: Settings, *, readable: bool, wait: float | None
) -> Renew | TryAgain | SalesforceLeadsError | None:
    """Decide on a reply by its status and error codes; ``None`` where it is the caller's to judge.

    https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/errorcodes.htm

    :param readable: whether the body is empty, or is what was asked for.
    :param wait: seconds that the server asks to wait.
    """
    status = reply.status
    what = f"{call_name(call)} (connection {settings.conn_id!r})"
    if status < 300 or status in (300, 304):  # noqa: PLR2004
        if readable:
            return None
        broken = ServiceUnavailableError(
            f"The answer to {what} could not be read: HTTP {status} with a body that is not what was asked for. Try "
            "again later."
        )
        return TryAgain(broken, ambiguous=True)
    if status < 400:  # noqa: PLR2004
        return _redirected(what, reply)
    errors = errors_in(reply.body)
    entries = [error.entry for error in errors]
    lasting = [entry for entry in entries if entry.raises is SessionRejectedError and entry is not SESSION_OVER]
    if status == 401 or lasting:  # noqa: PLR2004
        return _unauthorised(what, plain_text(errors), lasting)
    if status == 410 or VERSION_RETIRED in entries:  # noqa: PLR2004
        return RequestRefusedError(
            f"Salesforce no longer serves API version {settings.api_version} (HTTP {status} for {what}). "
            f"{VERSION_RETIRED.advice}",
            status=status,
            codes=tuple(error.code for error in errors),
        )
    return _by_code(what, status, errors, wait) or _by_status(what, status, errors, wait)


def _redirected(what: str, reply: Reply) -> SalesforceLeadsError:
    target = (
        reply.headers.get("location", "").partition("://")[2].partition("/")[0].rpartition("@")[2].partition("?")[0]
    )
    to = f" to {target}" if _HOST.fullmatch(target) else ""
    return WrongHostError(
        f"{what} was answered with a redirect{to} (HTTP {reply.status}), which is not followed with a token. If the "
        "org's My Domain was renamed, enter the new host into the connection."
    )


def _unauthorised(what: str, said: str, lasting: Sequence[ErrorCode]) -> Renew | SalesforceLeadsError:
    """Judge a refused session.

    :param lasting: why a new token would fare no better, if it would not.
    """
    if lasting:
        return SessionRejectedError(f"Salesforce refused {what}: {said}. {advice_for(lasting)}")
    again = f"Salesforce refuses tokens that it has just issued, at {what}: {said}. {SESSION_OVER.advice}"
    return Renew(SessionRejectedError(again))


def _by_code(
    what: str, status: int, errors: tuple[ApiError, ...], wait: float | None
) -> TryAgain | SalesforceLeadsError | None:
    entries = [error.entry for error in errors]
    first = {entry.raises: entry for entry in reversed(entries)}
    said = plain_text(errors)
    overload = any(entry.overload for entry in entries) or status in _SLOW_DOWN
    if ApiAccessError in first:
        return ApiAccessError(f"Salesforce refused {what}: {said}. {first[ApiAccessError].advice}")
    if ConcurrencyLimitError in first:
        busy = ConcurrencyLimitError(
            f"Salesforce runs too many long requests of this org at once, at {what}: {said}. "
            f"Try again {_when(wait, 'in five minutes or more')}. {first[ConcurrencyLimitError].advice}"
        )
        busy.retry_after = first[ConcurrencyLimitError].retry_after
        return TryAgain(busy, ambiguous=False, retry_after=wait, overload=overload)
    if ApiLimitError in first:
        return used_up(what, said, first[ApiLimitError])
    if ServiceUnavailableError in first:
        # Salesforce did not begin the work: the whole request can be sent again, whatever it was.
        error = ServiceUnavailableError(
            f"Salesforce could not serve {what} (HTTP {status}): {said}. Try again {_when(wait)}. "
            f"{advice_for(entries)}".rstrip()
        )
        return TryAgain(error, ambiguous=False, retry_after=wait, overload=overload)
    return None


def passes(status: int) -> bool:
    """Return whether an HTTP status tells of a state that passes.

    Time-outs, too many requests, an edge without a host.
    """
    return status >= _SERVER_ERROR or status in _PASSING


def _when(asked: float | None, otherwise: str = "later") -> str:
    return f"in {asked:.0f} s, as Salesforce asks" if asked else otherwise


def _by_status(what: str, status: int, errors: tuple[ApiError, ...], wait: float | None) -> TryAgain | None:
    if not passes(status):
        return None
    said = f": {plain_text(errors)}" if errors else ""
    note = " No Salesforce host answers for this org; an expired scratch org answers so too." if status == 420 else ""  # noqa: PLR2004
    error = ServiceUnavailableError(
        f"Salesforce could not serve {what} (HTTP {status}{said}). Try again {_when(wait)}.{note}"
    )
    return TryAgain(error, ambiguous=status not in (420, 429), retry_after=wait, overload=status in _SLOW_DOWN)


class Backoff:
    """Waits between the attempts of a request: exponential, with full jitter, bounded in attempts and time.

    ``Retry-After`` is honoured up to the longest wait.

    :param random: draws from [0, 1).
    """

    def __init__(self, retries: Retries, random: Callable[[], float]) -> None:
        self._retries = retries
        self._random = random

    def arguments(self, *, once: bool = False) -> dict[str, Any]:
        """Return the arguments of a tenacity ``Retrying`` or ``AsyncRetrying``, less ``sleep``.

        It raises the error of the last attempt, as if there had been no other.

        :param once: make one attempt only.
        """
        return {
            "retry": retry_if_exception_type(TryAgain),
            "wait": self._wait,
            "stop": lambda state: once or self._is_over(state),
            "before_sleep": self._log_attempt,
            "retry_error_callback": _give_up,
        }

    def _wait(self, state: RetryCallState) -> float:
        retries = self._retries
        asked = _last(state).retry_after
        if asked is not None:
            # Jitter on top, so that threads told the same moment do not come back in step.
            return min(retries.cap, asked + retries.base * self._random())
        return min(retries.cap, retries.base * 2.0**state.attempt_number) * self._random()

    def _is_over(self, state: RetryCallState) -> bool:
        retries = self._retries
        spent = max(state.seconds_since_start or 0.0, state.idle_for)
        return state.attempt_number >= retries.attempts or spent + state.upcoming_sleep > retries.total

    def _log_attempt(self, state: RetryCallState) -> None:
        """Warn once that something passing is in the way, and how long it is outlasted; of later attempts only tell."""
        retries = self._retries
        is_first = state.attempt_number == 1
        _log.log(
            logging.WARNING if is_first else logging.INFO,
            "Attempt %d of %d failed, next in %.1f s%s: %s",
            state.attempt_number,
            retries.attempts,
            state.upcoming_sleep,
            f", {retries.cap:.0f} s at most between attempts" if is_first else "",
            _last(state).error,
        )


def _last(state: RetryCallState) -> TryAgain:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, TryAgain):  # nothing else is retried
        raise TypeError(type(error).__name__)
    return error


def _give_up(state: RetryCallState) -> None:
    raise _last(state).error
