"""The client-credentials flow, and what all flows have in common, less the sending."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_provider_sfleads.core.host import Host, parse_host
from airflow_provider_sfleads.core.ids import is_id
from airflow_provider_sfleads.exceptions import (
    ApiAccessError,
    AuthenticationError,
    ConnectionFieldError,
    FlowNotEnabledError,
    SalesforceLeadsError,
    ServiceUnavailableError,
    WrongHostError,
    WrongKeyOrSecretError,
)

# A word for each: an error, or words of its description; what is raised; what to do.
Causes = tuple[tuple[str, type[SalesforceLeadsError], str], ...]
TOKEN_PATH = "/services/oauth2/token"  # noqa: S105
_IDENTITY = re.compile(r"/id/(\w{15,18})/(\w{15,18})", re.ASCII)
# A token goes into a header, and all headers and the address together may have 16,384 bytes.
_LONGEST_TOKEN, _LONGEST_URL = 8192, 2000
_LONGEST_JUDGED = 10_000  # characters of a description
# Errors that the same request can outlive: by their code, and by words of the description, under whatever code.
_PASSING = frozenset({"rate_limit_exceeded", "server_error", "temporarily_unavailable", "unknown_error"})
_PASSING_WORDS = ("retry your request", "already being processed", "login rate exceeded")
# Of these another login within the next minutes is one more that is counted.
_RATE = ("rate_limit_exceeded", "rate exceeded")
_SOME_MINUTES = 300.0
_PASSING_STATUS = frozenset({408, 420, 429})
_BAD_REQUEST, _SERVER_ERROR = 400, 500
_NO_SUCH_ROUTE = 420  # Salesforce's edge knows no org of this name, or none just now
_MAINTENANCE = re.compile(r"maintenance|temporarily|unavailable|try again|upgrad", re.IGNORECASE)
_SHOWN = re.compile(r"[\w .,'!-]{1,120}")

_KEY = (
    "Enter the consumer key of an External Client App of this very org (a sandbox has its own) as Consumer key; "
    "an app younger than about 10 minutes may not be known yet"
)
_SECRET = "Enter the app's current consumer secret as Consumer secret (Password); it changes when somebody rotates it"  # noqa: S105
_FLOW = "Tick 'Enable Client Credentials Flow' in the app's settings and in its policies"
_RUN_AS = (
    "Name a Run As user, by username, in the app's client-credentials policy; "
    "if there is one, it lacks the permission API Enabled or may not use the API"
)
_APPROVE = "Give the Run-As user a permission set or profile that the app's policy lists as pre-authorised"
_ADDRESS = (
    "Allow this machine's outgoing IP address in the app's IP policy and in the login IP ranges of the Run-As user's "
    "profile"
)
_USER = "Activate or unfreeze the Run-As user"
_ORG = "The org is locked, closed or under maintenance; ask its Salesforce admin"
_INSTALL = (
    "The app is not installed in this org, which is not a matter of the secret: the Salesforce admin installs it in "
    "Setup > Connected Apps OAuth Usage, or gives the Run-As user the permission Approve Uninstalled Connected Apps "
    "(Use Any API Client under API Access Control); or take an External Client App made in this org"
)
_DOMAIN = "Enter the org's own My Domain host, such as acme.my.salesforce.com, into Host"


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
            f"{configured.name} (connection {conn_id!r}) answered the token request with no token. {_DOMAIN}."
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
    status: int, body: object, *, page: str | None = None, host: Host, conn_id: str, causes: Causes = ()
) -> SalesforceLeadsError:
    """Make the error for a token request that was not answered with a token; where it is transient, ask again.

    Judged by ``error`` and ``error_description`` first: Salesforce answers nearly all with 400. Then by status: 5xx,
    408, 420 and 429 pass. A web page is a maintenance page by its words; with 200 it is one of something in between,
    which passes as well. Anything else does not come from a token endpoint.

    :param page: the answer, where it is a web page, or cannot be read.
    :param causes: what lasting refusals of the flow mean, ahead of those of any flow.
    """
    where = f"{host.name} (connection {conn_id!r})"
    values: Mapping[str, object] = body if isinstance(body, dict) else {}
    error, detail = values.get("error"), values.get("error_description")
    if isinstance(error, str) and _SHOWN.fullmatch(error.strip()):
        return _told(error.strip(), detail if isinstance(detail, str) else "", status, where, causes)
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
        f"endpoint. {_DOMAIN}."
    )


def _later(status: int) -> str:
    if status == _NO_SUCH_ROUTE:
        return (
            "Its edge routes no org of this name just now. Try again later; if it stays, the name is misspelt, the My "
            "Domain was renamed, or a scratch org has expired: check Host"
        )
    return "Try again later"


def _told(error: str, detail: str, status: int, where: str, causes: Causes) -> SalesforceLeadsError:
    said = _plain(detail)
    kind, cure = _cause(_plain(error), said, status, causes)
    shown = f" ({detail.strip()})" if _SHOWN.fullmatch(detail.strip()) else ""
    told = kind(f"Salesforce at {where} gave no token: {error}{shown}. {cure}.")
    if kind is ServiceUnavailableError and any(words in f"{_plain(error)} {said}" for words in _RATE):
        told.retry_after = _SOME_MINUTES
    return told


def _plain(text: str) -> str:
    """Words as they are judged, whether or not they may be shown: letter case and line breaks mean nothing."""
    return " ".join(text[:_LONGEST_JUDGED].lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").split())


def _cause(error: str, said: str, status: int, causes: Causes) -> tuple[type[SalesforceLeadsError], str]:
    if error in _PASSING or any(words in said for words in _PASSING_WORDS):
        return ServiceUnavailableError, "This passes by itself: try again later"
    for words, kind, cure in (*causes, *_CAUSES):
        if words in (error, said) or (" " in words and words in said):
            return kind, cure
    if error == "invalid_client":
        # OAuth servers say invalid_client for either half; the description tells which.
        return WrongKeyOrSecretError, _KEY if "identifier" in said else _SECRET
    if status >= _SERVER_ERROR or status in _PASSING_STATUS:
        return ServiceUnavailableError, "Try again later"
    return AuthenticationError, "Look the user up in Setup > Login History, which names the reason"


# By error, or by words of its description; salesforce-api.md 1.1.
_CAUSES: Causes = (
    ("invalid_client_id", WrongKeyOrSecretError, _KEY),
    ("app_not_found", WrongKeyOrSecretError, _KEY),
    ("unsupported_grant_type", FlowNotEnabledError, _FLOW),
    ("unauthorized_client", FlowNotEnabledError, _FLOW),
    ("must be installed", AuthenticationError, _INSTALL),
    ("no client credentials user", FlowNotEnabledError, _RUN_AS),
    ("not supported on this domain", WrongHostError, _DOMAIN),
    ("ip restricted", AuthenticationError, _ADDRESS),
    ("not admin approved", AuthenticationError, _APPROVE),
    ("hasn't approved", AuthenticationError, _APPROVE),
    ("invalid_app_access", AuthenticationError, _APPROVE),
    ("api not enabled", ApiAccessError, "Give the Run-As user the permission API Enabled"),
    ("inactive_user", AuthenticationError, _USER),
    ("inactive user", AuthenticationError, _USER),
    ("inactive_org", AuthenticationError, _ORG),
    ("inactive organization", AuthenticationError, _ORG),
)
