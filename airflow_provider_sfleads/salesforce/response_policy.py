"""What to do about one answer: take it, send again, renew the token, or give up. Pure, for any HTTP library."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

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
from airflow_provider_sfleads.salesforce.limits import used_up
from airflow_provider_sfleads.salesforce.replies import ApiError, call_name, errors_in, plain_text
from airflow_provider_sfleads.salesforce.wire import Call

_SLOW_DOWN = frozenset({429, 503})
_HOST = re.compile(r"[\w.:-]{1,260}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Take:
    """The answer is the caller's to judge."""


@dataclass(frozen=True, slots=True)
class Renew:
    """The token was refused; a new one may be taken.

    :param error: what to raise where a new one was refused too.
    """

    error: SalesforceLeadsError


@dataclass(frozen=True, slots=True)
class Again:
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


@dataclass(frozen=True, slots=True)
class Fail:
    """Nothing helps here."""

    error: SalesforceLeadsError


Decision = Take | Renew | Again | Fail


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer, read.

    :param readable: whether the body is empty, or is what was asked for.
    :param location: where a redirect points.
    """

    status: int
    body: object | None
    readable: bool = True
    retry_after: float | None = None
    location: str | None = None


def judge(call: Call, answer: Answer, *, conn_id: str, api_version: str) -> Decision:
    """Decide on an answer by its status and error codes.

    https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/errorcodes.htm
    """
    status = answer.status
    what = f"{call_name(call)} (connection {conn_id!r})"
    if status < 300 or status in (300, 304):  # noqa: PLR2004
        if answer.readable:
            return Take()
        broken = ServiceUnavailableError(
            f"The answer to {what} could not be read: HTTP {status} with a body that is not what was asked for. Try "
            "again later."
        )
        return Again(broken, ambiguous=True)
    if status < 400:  # noqa: PLR2004
        return Fail(_redirected(what, answer))
    errors = errors_in(answer.body)
    entries = [error.entry for error in errors]
    lasting = [entry for entry in entries if entry.raises is SessionRejectedError and entry is not SESSION_OVER]
    if status == 401 or lasting:  # noqa: PLR2004
        return _unauthorised(what, plain_text(errors), lasting)
    if status == 410 or VERSION_RETIRED in entries:  # noqa: PLR2004
        return Fail(_retired(what, status, errors, api_version))
    return _by_code(what, answer, errors) or _by_status(what, answer, errors) or Take()


def _redirected(what: str, answer: Answer) -> SalesforceLeadsError:
    target = (answer.location or "").partition("://")[2].partition("/")[0].rpartition("@")[2].partition("?")[0]
    target = target if _HOST.fullmatch(target) else ""
    return WrongHostError(
        f"{what} was answered with a redirect{f' to {target}' if target else ''} (HTTP {answer.status}), which is "
        "not followed "
        "with a token. If the org's My Domain was renamed, enter the new host into the connection."
    )


def _unauthorised(what: str, said: str, lasting: Sequence[ErrorCode]) -> Decision:
    """Judge a refused session.

    :param lasting: why a new token would fare no better, if it would not.
    """
    if lasting:
        return Fail(SessionRejectedError(f"Salesforce refused {what}: {said}. {advice_for(lasting)}"))
    again = f"Salesforce refuses tokens that it has just issued, at {what}: {said}. {SESSION_OVER.advice}"
    return Renew(SessionRejectedError(again))


def _retired(what: str, status: int, errors: tuple[ApiError, ...], api_version: str) -> SalesforceLeadsError:
    return RequestRefusedError(
        f"Salesforce no longer serves API version {api_version} (HTTP {status} for {what}). {VERSION_RETIRED.advice}",
        status=status,
        codes=tuple(error.code for error in errors),
    )


def _by_code(what: str, answer: Answer, errors: tuple[ApiError, ...]) -> Decision | None:
    entries = [error.entry for error in errors]
    first = {entry.raises: entry for entry in reversed(entries)}
    said = plain_text(errors)
    overload = any(entry.overload for entry in entries) or answer.status in _SLOW_DOWN
    if ApiAccessError in first:
        return Fail(ApiAccessError(f"Salesforce refused {what}: {said}. {first[ApiAccessError].advice}"))
    if ConcurrencyLimitError in first:
        busy = ConcurrencyLimitError(
            f"Salesforce runs too many long requests of this org at once, at {what}: {said}. "
            f"Try again {_when(answer, 'in five minutes or more')}. {first[ConcurrencyLimitError].advice}"
        )
        busy.retry_after = first[ConcurrencyLimitError].retry_after
        return Again(busy, ambiguous=False, retry_after=answer.retry_after, overload=overload)
    if ApiLimitError in first:
        return Fail(used_up(what, said, first[ApiLimitError]))
    if ServiceUnavailableError in first:
        # Salesforce did not begin the work: the whole request can be sent again, whatever it was.
        error = ServiceUnavailableError(
            f"Salesforce could not serve {what} (HTTP {answer.status}): {said}. Try again {_when(answer)}. "
            f"{advice_for(entries)}".rstrip()
        )
        return Again(error, ambiguous=False, retry_after=answer.retry_after, overload=overload)
    return None


def _when(answer: Answer, otherwise: str = "later") -> str:
    asked = answer.retry_after
    return f"in {asked:.0f} s, as Salesforce asks" if asked else otherwise


def _by_status(what: str, answer: Answer, errors: tuple[ApiError, ...]) -> Decision | None:
    status = answer.status
    if status < 500 and status not in (408, 420, 429):  # noqa: PLR2004
        return None
    said = f": {plain_text(errors)}" if errors else ""
    note = " No Salesforce host answers for this org; an expired scratch org answers so too." if status == 420 else ""  # noqa: PLR2004
    error = ServiceUnavailableError(
        f"Salesforce could not serve {what} (HTTP {status}{said}). Try again {_when(answer)}.{note}"
    )
    return Again(
        error,
        ambiguous=status not in (420, 429),
        retry_after=answer.retry_after,
        overload=status in _SLOW_DOWN,
    )
