"""The client-credentials flow, and what all flows have in common, less the sending."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_provider_sfleads.exceptions import (
    ConnectionFieldError,
    SalesforceLeadsError,
    ServiceUnavailableError,
    WrongHostError,
)
from airflow_provider_sfleads.salesforce.error_codes import MY_DOMAIN, UNKNOWN_TOKEN_ERROR, look_up_token_error
from airflow_provider_sfleads.salesforce.host import Host, parse_host
from airflow_provider_sfleads.salesforce.ids import is_id

TOKEN_PATH = "/services/oauth2/token"  # noqa: S105
_IDENTITY = re.compile(r"/id/(\w{15,18})/(\w{15,18})", re.ASCII)
# A token goes into a header, and all headers and the address together may have 16,384 bytes.
_LONGEST_TOKEN, _LONGEST_URL = 8192, 2000
_LONGEST_JUDGED = 10_000  # characters of a description
_PASSING_STATUS = frozenset({408, 420, 429})
_BAD_REQUEST, _SERVER_ERROR = 400, 500
_NO_SUCH_ROUTE = 420  # Salesforce's edge knows no org of this name, or none just now
_MAINTENANCE = re.compile(r"maintenance|temporarily|unavailable|try again|upgrad", re.IGNORECASE)
_SHOWN = re.compile(r"[\w .,'!-]{1,120}")


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


def token_form(key: str, secret: str) -> dict[str, str]:
    """Return the form fields of the token request."""
    return {"grant_type": "client_credentials", "client_id": key, "client_secret": secret}


def read_grant(body: object, *, configured: Host, conn_id: str) -> Grant:
    """Read a token reply.

    :raises WrongHostError: where it is none, or names a host that must not be given the token.
    """
    values: Mapping[str, object] = body if isinstance(body, dict) else {}
    token, instance = values.get("access_token"), values.get("instance_url")
    if not isinstance(token, str) or not _is_token(token):
        raise WrongHostError(
            f"{configured.name} (connection {conn_id!r}) answered the token request with no token. {MY_DOMAIN}"
        )
    try:
        host = parse_host(_url(instance)) if instance else configured
    except ConnectionFieldError:
        host = None
    if host is None or host.loopback != configured.loopback:
        raise WrongHostError(
            f"The token reply of {configured.name} (connection {conn_id!r}) names an instance_url that is not an org's "
            "My Domain host; the token was not sent there. Check Host, and any proxy in between."
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
    """Whether a text can stand in a header, less what may stand around it there."""
    return 0 < len(text) <= _LONGEST_TOKEN and text.isascii() and text.isprintable() and text == text.strip()


def _url(value: object) -> str:
    """An address out of a reply; empty where it cannot be one."""
    return value if isinstance(value, str) and len(value) <= _LONGEST_URL else ""


def refusal(
    status: int,
    body: object,
    *,
    page: str | None = None,
    host: Host,
    conn_id: str,
    assertion: Mapping[str, object] | None = None,
) -> SalesforceLeadsError:
    """Make the error for a token request that was not answered with a token; where it is transient, ask again.

    Judged by ``error`` and ``error_description`` first: Salesforce answers nearly all with 400. Then by status: 5xx,
    408, 420 and 429 pass. A web page is a maintenance page by its words; with 200 it is one of something in between,
    which passes as well. Anything else does not come from a token endpoint.

    :param page: the answer, where it is a web page, or cannot be read.
    :param assertion: of the JWT bearer flow, see :func:`~.error_codes.look_up_token_error`.
    """
    where = f"{host.name} (connection {conn_id!r})"
    values: Mapping[str, object] = body if isinstance(body, dict) else {}
    error, detail = values.get("error"), values.get("error_description")
    if isinstance(error, str) and _SHOWN.fullmatch(error.strip()):
        return _told(error.strip(), detail if isinstance(detail, str) else "", status, where, assertion)
    if status >= _SERVER_ERROR or status in _PASSING_STATUS:
        return ServiceUnavailableError(
            f"Salesforce at {where} could not give a token (HTTP {status}). {_later(status)}."
        )
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


def _later(status: int) -> str:
    if status == _NO_SUCH_ROUTE:
        return (
            "Its edge routes no org of this name just now. Try again later; if it stays, the name is misspelt, the My "
            "Domain was renamed, or a scratch org has expired: check Host"
        )
    return "Try again later"


def _told(
    error: str, detail: str, status: int, where: str, assertion: Mapping[str, object] | None
) -> SalesforceLeadsError:
    entry = look_up_token_error(_plain(error), _plain(detail), assertion=assertion)
    kind, advice = entry.raises, entry.advice
    if entry is UNKNOWN_TOKEN_ERROR and (status >= _SERVER_ERROR or status in _PASSING_STATUS):
        kind, advice = ServiceUnavailableError, "Try again later."
    shown = f" ({detail.strip()})" if _SHOWN.fullmatch(detail.strip()) else ""
    told = kind(f"Salesforce at {where} gave no token: {error}{shown}. {advice}")
    told.retry_after = entry.retry_after
    return told


def _plain(text: str) -> str:
    """Words as they are judged, whether or not they may be shown: letter case and line breaks mean nothing."""
    return " ".join(text[:_LONGEST_JUDGED].lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").split())
