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
_TRANSIENT = frozenset({"rate_limit_exceeded", "server_error", "temporarily_unavailable"})
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


def is_transient(body: object) -> bool:
    """Whether a token error is one that the same request can outlive."""
    return isinstance(body, dict) and body.get("error") in _TRANSIENT


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


def refusal(status: int, body: object, *, host: Host, conn_id: str, causes: Causes = ()) -> SalesforceLeadsError:
    """Make the error for a token request that was not answered with a token.

    Judged by ``error`` and ``error_description``, not by status: Salesforce answers nearly all with 400. A body that is
    no OAuth error does not come from a token endpoint.

    :param causes: what refusals of the flow mean, ahead of those of any flow.
    """
    where = f"{host.name} (connection {conn_id!r})"
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, str) or not _SHOWN.fullmatch(error):
        return WrongHostError(
            f"{where} answered the token request with HTTP {status} and no OAuth reply, so it is no Salesforce token "
            f"endpoint. {_DOMAIN}."
        )
    detail = body.get("error_description") if isinstance(body, dict) else None
    said = detail if isinstance(detail, str) and _SHOWN.fullmatch(detail) else ""
    kind, cure = _own_cause(error, said.lower(), causes) or _cause(error, said.lower())
    return kind(f"Salesforce at {where} gave no token: {error}{f' ({said})' if said else ''}. {cure}.")


def _own_cause(error: str, said: str, causes: Causes) -> tuple[type[SalesforceLeadsError], str] | None:
    for words, kind, cure in causes:
        if words in (error, said) or (" " in words and words in said):
            return kind, cure
    return None


def _cause(error: str, said: str) -> tuple[type[SalesforceLeadsError], str]:
    if error in _TRANSIENT:
        return ServiceUnavailableError, "Try again later"
    if error == "invalid_client":
        # OAuth servers say invalid_client for either half; the description tells which.
        return WrongKeyOrSecretError, _KEY if "identifier" in said else _SECRET
    found = _own_cause(error, said, _CAUSES)
    if found:
        return found
    return AuthenticationError, "Look the user up in Setup > Login History, which names the reason"


# By error, or by words of its description; salesforce-api.md 1.1.
_CAUSES: Causes = (
    ("invalid_client_id", WrongKeyOrSecretError, _KEY),
    ("app_not_found", WrongKeyOrSecretError, _KEY),
    ("unsupported_grant_type", FlowNotEnabledError, _FLOW),
    ("unauthorized_client", FlowNotEnabledError, _FLOW),
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
