"""The client-credentials flow and the JWT bearer flow, less the sending.

https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_jwt_flow.htm
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_provider_sfleads.exceptions import (
    ConnectionFailedError,
    ConnectionFieldError,
    SalesforceLeadsError,
    ServiceUnavailableError,
    WrongHostError,
)
from airflow_provider_sfleads.salesforce.body import decode
from airflow_provider_sfleads.salesforce.error_codes import MY_DOMAIN, UNKNOWN_TOKEN_ERROR, look_up_token_error
from airflow_provider_sfleads.salesforce.host import Host, parse_host
from airflow_provider_sfleads.salesforce.ids import is_id
from airflow_provider_sfleads.salesforce.response_policy import TryAgain, passes
from airflow_provider_sfleads.salesforce.settings import Settings
from airflow_provider_sfleads.salesforce.wire import NoResponse, RawResponse, parse_http_date, parse_retry_after

_IDENTITY = re.compile(r"/id/(\w{15,18})/(\w{15,18})", re.ASCII)
# A token goes into a header, and all headers and the address together may have 16,384 bytes.
_LONGEST_TOKEN, _LONGEST_URL = 8192, 2000
_LONGEST_JUDGED = 10_000  # characters of a description
_LONGEST_LOOKED_AT = 50_000  # bytes of a web page that are looked at for what it says
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OK, _BAD_REQUEST = 200, 400
_NO_SUCH_ROUTE = 420  # Salesforce's edge knows no org of this name, or none just now
_MAINTENANCE = re.compile(r"maintenance|temporarily|unavailable|try again|upgrad", re.IGNORECASE)
_SHOWN = re.compile(r"[\w .,'!-]{1,120}")
# Seconds. Salesforce takes longer ones, too; one that is stolen should not be good for long.
_LIFETIME = 180
# Characters in which the claims of an assertion end, and its expiry stands.
_EXPIRY = 24
_NOTICED = 60.0  # seconds by which a clock is off that is worth a word


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A token and where it may be sent.

    :param host: ``instance_url`` of the reply, under the same rule as the connection's host.
    :param user_id: 18-character id of the Run-As user, where the reply names it.
    :param org_id: 18-character id of the org, likewise.
    """

    access_token: str = field(repr=False)
    host: Host
    user_id: str | None = None
    org_id: str | None = None


def token_url(settings: Settings) -> str:
    """Return where a token is asked for, by POST."""
    return f"{settings.host.url}/services/oauth2/token"


def token_form(settings: Settings, *, now: float) -> dict[str, str]:
    """Return what is posted there, for one attempt: an assertion is made anew for each.

    :param now: seconds since the epoch.
    """
    key, bearer = settings.consumer_key, settings.bearer
    if bearer is None:
        return {"grant_type": "client_credentials", "client_id": key, "client_secret": settings.consumer_secret}
    import jwt  # by connections that sign, and by no others

    # The expiry comes last: all before it is the same each time.
    claims = {"iss": key, "sub": bearer.username, "aud": bearer.audience, "exp": int(now) + _LIFETIME}
    assertion = jwt.encode(claims, bearer.key, algorithm="RS256")
    return {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}


def secrets_in(form: Mapping[str, str]) -> tuple[str, ...]:
    """Return what no log may show of a form, beyond what is secret in the connection itself; the same for each form.

    Of an assertion it is what all those of a connection begin with: all claims but the expiry, which comes last. To
    hide it hides each of them. Whole they would not do: the masker of a triggerer never forgets, and looks for, and
    compiles anew, all that it ever learned.
    """
    signed, _, _ = form.get("assertion", "").rpartition(".")
    return (signed[:-_EXPIRY],) if signed else ()


def read_grant(found: RawResponse | NoResponse, settings: Settings, *, now: float) -> Grant:
    """Read the response to a token request.

    :param now: seconds since the epoch.
    :raises TryAgain: where asking again may help; a token request changes nothing, so it can always be repeated.
    :raises SalesforceLeadsError: where it does not help.
    """
    if isinstance(found, NoResponse):
        raise _unreachable(found, settings)
    body, is_readable = decode(found.content or b"", found.headers.get("content-type", ""))
    if found.status == _OK and is_readable and not (isinstance(body, dict) and "error" in body):
        return grant_of(body, settings)
    raise _refused(found, body, settings, now=now)


def grant_of(body: object, settings: Settings) -> Grant:
    """Read the body of a token reply.

    :raises WrongHostError: where it is none, or names a host that must not be given the token.
    """
    values: Mapping[str, object] = body if isinstance(body, dict) else {}
    token, instance = values.get("access_token"), values.get("instance_url")
    if not isinstance(token, str) or not _is_token(token):
        raise WrongHostError(f"{settings.where} answered the token request with no token. {MY_DOMAIN}")
    try:
        host = parse_host(_url(instance)) if instance else settings.host
    except ConnectionFieldError:
        host = None
    if host is None or host.loopback != settings.host.loopback:
        raise WrongHostError(
            f"The token reply of {settings.where} names an instance_url that is not an org's My Domain host; the token "
            "was not sent there. Check Host, and any proxy in between."
        )
    found = _IDENTITY.search(_url(values.get("id")))
    org_id, user_id = (found[1], found[2]) if found else (None, None)
    return Grant(
        access_token=token,
        host=host,
        org_id=org_id if is_id(org_id, "Organization") else None,
        user_id=user_id if is_id(user_id, "User") else None,
    )


def _is_token(text: str) -> bool:
    """Return whether a text can stand in a header, less what may stand around it there."""
    return 0 < len(text) <= _LONGEST_TOKEN and text.isascii() and text.isprintable() and text == text.strip()


def _url(value: object) -> str:
    """Return an address out of a reply; empty where it cannot be one."""
    return value if isinstance(value, str) and len(value) <= _LONGEST_URL else ""


def _unreachable(failure: NoResponse, settings: Settings) -> Exception:
    where = settings.where
    if failure.kind == "dns_unknown":
        return WrongHostError(f"There is no host {where}: {failure.reason}. Enter the org's My Domain host into Host.")
    if failure.kind == "tls":
        return WrongHostError(
            f"{where} cannot be trusted: {failure.reason}. Check Host; behind a proxy that opens TLS, set verify to "
            "its CA file."
        )
    text = (
        f"No token could be fetched from {where}: {failure.reason}. Check the network and proxies from this machine, "
        "then try again."
    )
    return TryAgain(ConnectionFailedError(text), ambiguous=False)


def _refused(answer: RawResponse, body: object, settings: Settings, *, now: float) -> Exception:
    status = answer.status
    if 300 <= status < _BAD_REQUEST:  # noqa: PLR2004
        return WrongHostError(
            f"{settings.where} answered the token request with a redirect (HTTP {status}), which is not followed with "
            "a secret. If the org's My Domain was renamed, enter the new host into Host."
        )
    date = parse_http_date(answer.headers.get("date"))
    error = refusal(status, body, settings, page=_page(answer, body), clock_offset=None if date is None else date - now)
    if not error.transient:
        return error
    asked = parse_retry_after(answer.headers.get("retry-after"), now=now)
    error.retry_after = error.retry_after if asked is None else asked
    return TryAgain(error, ambiguous=False, retry_after=asked)


def _page(answer: RawResponse, body: object) -> str | None:
    """Return the beginning of an answer that is a web page, or that was to be a token and cannot be read.

    ``None`` for others.

    What it is shows in its first character: proxies send pages under any type.
    """
    content = (answer.content or b"")[:_LONGEST_LOOKED_AT].removeprefix(_BYTE_ORDER_MARK).lstrip()
    is_garbled = answer.status == _OK and body is None
    return content.decode(errors="replace") if content.startswith(b"<") or is_garbled else None


def refusal(
    status: int,
    body: object,
    settings: Settings,
    *,
    page: str | None = None,
    clock_offset: float | None = None,
) -> SalesforceLeadsError:
    """Make the error for a token request that was not answered with a token; where it is transient, ask again.

    Judged by ``error`` and ``error_description`` first: Salesforce answers nearly all with 400. Then by status: 5xx,
    408, 420 and 429 pass. A web page is a maintenance page by its words; with 200 it is one of something in between,
    which passes as well. Anything else does not come from a token endpoint.

    :param page: the answer, where it is a web page, or cannot be read.
    :param clock_offset: seconds by which Salesforce's clock is ahead of this machine's; ``None`` where not known.
    """
    where, is_passing = settings.where, passes(status)
    values: Mapping[str, object] = body if isinstance(body, dict) else {}
    error, detail = values.get("error"), values.get("error_description")
    if isinstance(error, str) and _SHOWN.fullmatch(error.strip()):
        told = detail.strip() if isinstance(detail, str) else ""
        entry = look_up_token_error(_plain(error), _plain(told), assertion=_assertion(settings, clock_offset))
        kind, advice = entry.raises, entry.advice
        if entry is UNKNOWN_TOKEN_ERROR and is_passing:
            kind, advice = ServiceUnavailableError, "Try again later."
        shown = f" ({told})" if _SHOWN.fullmatch(told) else ""
        refused = kind(f"Salesforce at {where} gave no token: {error.strip()}{shown}. {advice}")
        refused.retry_after = entry.retry_after
        return refused
    if is_passing:
        later = "Try again later"
        if status == _NO_SUCH_ROUTE:
            later = (
                "Its edge routes no org of this name just now. Try again later; if it stays, the name is misspelt, the "
                "My Domain was renamed, or a scratch org has expired: check Host"
            )
        return ServiceUnavailableError(f"Salesforce at {where} could not give a token (HTTP {status}). {later}.")
    if page is not None and (status < _BAD_REQUEST or _MAINTENANCE.search(page)):
        return ServiceUnavailableError(
            f"{where} answered the token request with a web page, or with what cannot be read (HTTP {status}): "
            "Salesforce is under maintenance, or a proxy or a login page stands between. Try again later; if it stays, "
            "check the proxies and Host."
        )
    return WrongHostError(
        f"{where} answered the token request with HTTP {status} and no OAuth reply, so it is no Salesforce token "
        f"endpoint. {MY_DOMAIN}"
    )


def _plain(text: str) -> str:
    """Words as they are judged, whether or not they may be shown: letter case and line breaks mean nothing."""
    return " ".join(text[:_LONGEST_JUDGED].lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").split())


def _assertion(settings: Settings, clock_offset: float | None) -> dict[str, object] | None:
    """Return what advice on a refusal tells of the assertion, see :data:`~.error_codes.BEARER_TABLE`."""
    if settings.bearer is None:
        return None
    clock = ""
    if clock_offset is not None and abs(clock_offset) >= _NOTICED:
        clock = f": it is {abs(clock_offset):.0f} seconds {'behind' if clock_offset > 0 else 'ahead of'} Salesforce's"
    return {"audience": settings.bearer.audience, "lifetime": _LIFETIME, "clock": clock}
