"""What to do about one answer: take it, send again, renew the token, or give up. Pure, for any HTTP library."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from airflow_provider_sfleads.core.limits import bulk_used_up, is_bulk_limit, used_up
from airflow_provider_sfleads.core.remedies import remedies_for
from airflow_provider_sfleads.core.replies import ApiError, call_name, errors_in, plain_text
from airflow_provider_sfleads.core.wire import Call
from airflow_provider_sfleads.exceptions import (
    ApiAccessError,
    ConcurrencyLimitError,
    RequestRefusedError,
    SalesforceLeadsError,
    ServiceUnavailableError,
    SessionRejectedError,
    WrongHostError,
)

# Salesforce did not begin the work: the whole request can be sent again, whatever it was.
_NOT_BEGUN = frozenset(
    {
        "SERVER_UNAVAILABLE",
        "UNABLE_TO_LOCK_ROW",
        "TXN_SECURITY_METERING_ERROR",
        "TXN_SECURITY_RUNTIME_ERROR",
        "API_CURRENTLY_DISABLED",
        "INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE",
    }
)
# Seconds after which another try is worthwhile, where Salesforce names no time: long requests end within ten minutes,
# most of them sooner.
_SOME_MINUTES = 300.0
_SLOW_DOWN = frozenset({429, 503})
_HOST = re.compile(r"[\w.:-]{1,260}", re.ASCII)
_PASSWORD_EXPIRED = "INVALID_OPERATION_WITH_EXPIRED_PASSWORD"  # noqa: S105 - an error code
_INCURABLE_401 = ("not valid for use with the rest api", "not attached to agent")


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


Verdict = Take | Renew | Again | Fail


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


def judge(call: Call, answer: Answer, *, conn_id: str, api_version: str) -> Verdict:
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
    if status == 401 or any(error.code == _PASSWORD_EXPIRED for error in errors):  # noqa: PLR2004
        return _unauthorised(what, errors)
    if status == 410 or any(error.code == "UNSUPPORTED_API_VERSION" for error in errors):  # noqa: PLR2004
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


def _rejected(what: str, said: str, codes: Collection[str]) -> SalesforceLeadsError | None:
    """The error of a session that a new token would fare no better than; ``None`` where one may."""
    if _PASSWORD_EXPIRED in codes:
        return SessionRejectedError(
            f"Salesforce refused {what}: the password of the Run-As user has expired ({_PASSWORD_EXPIRED}), and a new "
            "token does not help. An API-only user is never asked for a new password: the Salesforce admin resets it "
            "in Setup > Users, and gives the user the permission Password Never Expires."
        )
    if "INVALID_AUTH_HEADER" in codes:
        return SessionRejectedError(
            f"The Authorization header of {what} did not reach Salesforce as it was sent: {said}. Check proxies "
            "and gateways on the way, which may take it out or change it."
        )
    return None


def _unauthorised(what: str, errors: tuple[ApiError, ...]) -> Verdict:
    said = plain_text(errors)
    words = " ".join(error.message for error in errors).lower()
    lasting = _rejected(what, said, {error.code for error in errors})
    if lasting is not None:
        return Fail(lasting)
    if any(part in words for part in _INCURABLE_401):
        return Fail(
            SessionRejectedError(
                f"Salesforce takes the token but not for the REST API, at {what}: {said}. A new token does not help: "
                "check the "
                "app's scopes (api), the app's and the Run-As user's access policies, and API Access Control."
            )
        )
    error = SessionRejectedError(
        f"Salesforce refuses tokens that it has just issued, at {what}: {said}. Check the IP ranges enforced on the "
        "Run-As user's "
        "sessions against this machine's outgoing address, and the app's session policies."
    )
    return Renew(error)


def _retired(what: str, status: int, errors: tuple[ApiError, ...], api_version: str) -> SalesforceLeadsError:
    return RequestRefusedError(
        f"Salesforce no longer serves API version {api_version} (HTTP {status} for {what}). "
        "Set api_version in the connection's extra to one that the org lists at /services/data/.",
        status=status,
        codes=tuple(error.code for error in errors),
    )


def _by_code(what: str, answer: Answer, errors: tuple[ApiError, ...]) -> Verdict | None:
    codes = {error.code for error in errors}
    said = plain_text(errors)
    if "API_DISABLED_FOR_ORG" in codes:
        return Fail(
            ApiAccessError(
                f"Salesforce refused {what}: {said}. The Run-As user lacks the permission API Enabled, or the org's "
                "edition has no API."
            )
        )
    if "REQUEST_LIMIT_EXCEEDED" in codes:
        if any("concurrent" in error.message.lower() for error in errors):
            busy = ConcurrencyLimitError(
                f"Salesforce runs too many long requests of this org at once, at {what}: {said}. "
                f"Try again {_when(answer, 'in five minutes or more')}, and lower concurrency or batch_size if it "
                "comes back."
            )
            busy.retry_after = _SOME_MINUTES
            return Again(busy, ambiguous=False, retry_after=answer.retry_after, overload=True)
        return Fail(used_up("its API requests", what, said, place="Company Information > API Requests"))
    if any(map(is_bulk_limit, codes)):
        return Fail(bulk_used_up(what, said))
    if codes & _NOT_BEGUN:
        error = ServiceUnavailableError(
            f"Salesforce could not serve {what} (HTTP {answer.status}): {said}. Try again {_when(answer)}. "
            f"{remedies_for(codes)}".rstrip()
        )
        overload = "SERVER_UNAVAILABLE" in codes or answer.status in _SLOW_DOWN
        return Again(error, ambiguous=False, retry_after=answer.retry_after, overload=overload)
    return None


def _when(answer: Answer, otherwise: str = "later") -> str:
    asked = answer.retry_after
    return f"in {asked:.0f} s, as Salesforce asks" if asked else otherwise


def _by_status(what: str, answer: Answer, errors: tuple[ApiError, ...]) -> Verdict | None:
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
