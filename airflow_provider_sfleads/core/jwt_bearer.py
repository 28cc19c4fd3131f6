"""The JWT bearer flow, less the signing and the sending.

https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_jwt_flow.htm
"""

from __future__ import annotations

import re

from airflow_provider_sfleads.core.host import Host, parse_host
from airflow_provider_sfleads.core.token import Causes
from airflow_provider_sfleads.exceptions import (
    AuthenticationError,
    ConnectionFieldError,
    FlowNotEnabledError,
    WrongKeyOrSecretError,
)

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
# Salesforce takes longer ones, too; one that is stolen should not be good for long.
LIFETIME = 180
PRODUCTION, SANDBOX = "https://login.salesforce.com", "https://test.salesforce.com"
_LOGIN = re.compile(r"https://(?:login|test)\.(?:salesforce\.com|salesforce\.mil|sfcrmproducts\.cn)")
# A sandbox is "mydomain--box", whatever follows; a name without one has no two hyphens in a row.
_COPIES = re.compile(r"--|\.(?:sandbox|scratch)\.my[.-]salesforce\.")
_COMMERCIAL = (".my.salesforce.com", ".my-salesforce.com")
_NOTICED = 60.0  # seconds by which a clock is off that is worth a word

_PRIVATE_KEY = (
    "The certificate of the app does not belong to the connection's private_key: upload the certificate that was made "
    "with that key (the app's OAuth settings, JWT Bearer Flow), or enter the private key of the one that is there"
)
_APPROVE = (
    "Check username: it is the one of a user of this very org, not an e-mail address, and in a sandbox it ends "
    "in the sandbox's name. Pre-authorise that user: in the app's policies choose 'Admin approved users are "
    "pre-authorized', and give the user a permission set that is listed there"
)
_FLOW = "Tick 'Enable JWT Bearer Flow' in the app's OAuth settings and upload a certificate there"
_SCOPES = "Give the app the scopes 'Manage user data via APIs (api)' and 'Perform requests at any time (refresh_token)'"


def claims(*, consumer_key: str, username: str, audience: str, now: float) -> dict[str, str | int]:
    """Return what an assertion says, and last when it expires; all before that is the same each time.

    :param now: seconds since the epoch.
    """
    return {"iss": consumer_key, "sub": username, "aud": audience, "exp": int(now) + LIFETIME}


def token_form(assertion: str) -> dict[str, str]:
    """Return the form fields of the token request."""
    return {"grant_type": GRANT_TYPE, "assertion": assertion}


def audience_of(host: Host) -> str:
    """Return what assertions for an org are addressed to, unless the connection says it.

    Government and China clouds have login hosts of their own, so their orgs are addressed by My Domain.
    """
    if not (host.loopback or host.name.endswith(_COMMERCIAL)):
        return host.url
    return SANDBOX if _COPIES.search(host.name) else PRODUCTION


def parse_audience(value: object) -> str:
    """Read an audience: a login host of Salesforce, or a My Domain URL.

    :raises ConnectionFieldError: where it is none.
    """
    text = value.strip().rstrip("/").lower() if isinstance(value, str) else ""
    text = text if "://" in text else f"https://{text}"
    if _LOGIN.fullmatch(text):
        return text
    try:
        host = parse_host(text)
    except ConnectionFieldError:
        host = None
    if host is None or host.loopback:
        raise ConnectionFieldError(
            f"audience must be {PRODUCTION}, {SANDBOX} (sandboxes and scratch orgs), or the org's My Domain URL; empty "
            "takes the one that fits the host."
        )
    return host.url


def causes(*, audience: str, offset: float | None) -> Causes:
    """Return what refusals of this flow mean, ahead of those of any flow.

    :param audience: what the assertion was addressed to.
    :param offset: seconds by which Salesforce's clock is ahead of this machine's; ``None`` where it is not known.
    """
    address = (
        f"The assertion was addressed to {audience}: set audience to {SANDBOX} for a sandbox or a scratch org, and "
        f"to {PRODUCTION} or the org's My Domain URL for any other; empty takes the one that fits the host"
    )
    found: Causes = (
        ("invalid assertion", WrongKeyOrSecretError, _PRIVATE_KEY),
        ("invalid client credentials", WrongKeyOrSecretError, f"{_PRIVATE_KEY}; check the consumer key, too"),
        ("audience is invalid", AuthenticationError, address),
        ("invalid audience", AuthenticationError, address),
        ("audience validation failed", AuthenticationError, address),
        ("expired authorization code", AuthenticationError, _clock(offset)),
        ("hasn't approved", AuthenticationError, _APPROVE),
        ("not admin approved", AuthenticationError, _APPROVE),
        ("invalid_app_access", AuthenticationError, _APPROVE),
        ("no valid scopes", FlowNotEnabledError, _SCOPES),
        ("unsupported_grant_type", FlowNotEnabledError, _FLOW),
        ("unauthorized_client", FlowNotEnabledError, _FLOW),
    )
    return found


def _clock(offset: float | None) -> str:
    advice = f"An assertion is valid for {LIFETIME} seconds by this machine's clock; set the clock by NTP"
    if offset is None or abs(offset) < _NOTICED:
        return advice
    return f"{advice}: it is {abs(offset):.0f} seconds {'behind' if offset > 0 else 'ahead of'} Salesforce's"
