"""The JWT bearer flow, less the signing and the sending.

https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_jwt_flow.htm
"""

from __future__ import annotations

import re

from airflow_provider_sfleads.exceptions import ConnectionFieldError
from airflow_provider_sfleads.salesforce.host import Host, parse_host

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
# Salesforce takes longer ones, too; one that is stolen should not be good for long.
LIFETIME = 180
PRODUCTION, SANDBOX = "https://login.salesforce.com", "https://test.salesforce.com"
_LOGIN = re.compile(r"https://(?:login|test)\.(?:salesforce\.com|salesforce\.mil|sfcrmproducts\.cn)")
# A sandbox is "mydomain--box", whatever follows; a name without one has no two hyphens in a row.
_COPIES = re.compile(r"--|\.(?:sandbox|scratch)\.my[.-]salesforce\.")
_COMMERCIAL = (".my.salesforce.com", ".my-salesforce.com")
_NOTICED = 60.0  # seconds by which a clock is off that is worth a word


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


def told_of(audience: str, offset: float | None) -> dict[str, object]:
    """Return what advice on a refusal tells of an assertion, see :data:`~.error_codes.BEARER_TABLE`.

    :param audience: what the assertion was addressed to.
    :param offset: seconds by which Salesforce's clock is ahead of this machine's; ``None`` where it is not known.
    """
    clock = ""
    if offset is not None and abs(offset) >= _NOTICED:
        clock = f": it is {abs(offset):.0f} seconds {'behind' if offset > 0 else 'ahead of'} Salesforce's"
    return {"audience": audience, "lifetime": LIFETIME, "clock": clock}
