"""Probe what every call relies on: token, org, user, versions, clock."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from airflow_provider_sfleads.check.probe import Assumption, Finding, Org, Probe
from airflow_provider_sfleads.salesforce.describe import offered_in, versions_call
from airflow_provider_sfleads.salesforce.limits import parse_http_date, parse_limit_info
from airflow_provider_sfleads.salesforce.paging import expect, mapping, objects, sequence
from airflow_provider_sfleads.salesforce.replies import shown
from airflow_provider_sfleads.salesforce.wire import Call

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:_\w{2,10})?", re.ASCII)
#: Seconds that the clocks may differ: a window of time in which leads are looked for has as much to spare.
MOST_OFFSET = 60.0
_ORGANIZATION = "SELECT Id, OrganizationType, IsSandbox FROM Organization"

TOKEN = Assumption("token", "Salesforce gives a token", "one, with the org's and the user's id", "Mend the connection.")
TOKEN_REUSED = Assumption(
    "token.reused",
    "One token serves many calls",
    "1 token request",
    "Tokens end while they are in use: see the session policies of the app and of the org, and who revokes them.",
)
VERSION_OFFERED = Assumption(
    "versions.offered",
    "The org offers the connection's API version",
    "it is on the list",
    "Set api_version of the connection to one that is offered.",
)
VERSION_AGE = Assumption(
    "versions.age",
    "The API version is not about to be retired",
    "not the oldest that is offered",
    "Set api_version of the connection to a newer one.",
)
API = Assumption(
    "api",
    "The Run-As user may use the REST API",
    "HTTP 200",
    "Give the Run-As user the permission API Enabled, and let the app use the scope api.",
)
ORG = Assumption(
    "org",
    "The org says what it is",
    "the org of the token, and its edition",
    "Give the Run-As user Read on Organization, which every user has by default.",
)
LANGUAGE = Assumption(
    "user.language",
    "Salesforce answers in English",
    "en_US",
    "Set the language of the Run-As user to English. Syncs do not depend on it, but the texts in results and rejects "
    "are in that language.",
)
USAGE = Assumption(
    "usage.header",
    "Answers tell the API usage",
    "the header Sforce-Limit-Info",
    "Let proxies pass the header Sforce-Limit-Info: without it no sync stops at max_api_usage.",
)
DATE = Assumption(
    "clock.header",
    "Answers tell Salesforce's time",
    "the header Date",
    "Let proxies pass the header Date: without it this machine's clock has to be right.",
)
OFFSET = Assumption(
    "clock.offset",
    "This machine's clock is right",
    f"at most {MOST_OFFSET:g} s off",
    "Set this machine's clock by NTP, and that of each worker.",
)


def probes() -> tuple[Probe, ...]:
    """Return the questions, in their order; all others need ``api``."""
    return (
        Probe(TOKEN, token),
        Probe(VERSION_OFFERED, versions, needs=(TOKEN,)),
        Probe(API, api, needs=(VERSION_OFFERED,)),
        Probe(ORG, organization, needs=(API,)),
        Probe(LANGUAGE, language, needs=(API,)),
        Probe(USAGE, usage, needs=(API,)),
        Probe(OFFSET, clock, needs=(API,)),
    )


def token(org: Org) -> Iterator[Finding]:
    """Fetch the token; all other calls take it."""
    org.client.login()
    named = org.client.org_id is not None and org.client.user_id is not None
    flow = "JWT bearer" if org.client.settings.bearer else "client credentials"
    seen = f"given, by {flow}" if named else "given, but it does not say to whom"
    yield TOKEN.judged(seen, holds=named, remedy="Check what stands between this machine and Salesforce.")


def token_reused(org: Org) -> Iterator[Finding]:
    """Tell how often a token was asked for, at the end."""
    count = org.client.token_requests
    yield TOKEN_REUSED.judged(f"{count} token request{'s' if count > 1 else ''}", holds=count == 1)


def versions(org: Org) -> Iterator[Finding]:
    """Ask for the versions; the list costs no API call."""
    call = versions_call()
    offered = offered_in(sequence(call, org.send(call), conn_id=org.conn_id))
    mine = org.client.settings.api_version
    seen = f"{mine}; offered are {offered[0]} to {offered[-1]}" if offered else "no version on the list"
    yield VERSION_OFFERED.judged(seen, holds=mine in offered)
    if mine in offered:
        yield VERSION_AGE.judged(seen, holds=mine != offered[0])
    else:
        yield VERSION_AGE.not_tried("it is not offered", f"See {VERSION_OFFERED.name}.")


def api(org: Org) -> Iterator[Finding]:
    """Make a call that needs nothing but the API."""
    call = Call(method="GET", path="")
    reply = expect(call, org.send(call), conn_id=org.conn_id)
    yield API.judged(f"HTTP {reply.status}", holds=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """What an org says of itself (Object Reference, "Organization").

    :param edition: such as ``Developer Edition``.
    """

    id: str
    edition: str
    is_sandbox: bool


def organization_of(org: Org) -> Organization | None:
    """Ask which org this is; ``None`` where the answer does not say.

    :raises RequestRefusedError: where it may not be asked.
    """
    call = Call(method="GET", path="query", params={"q": _ORGANIZATION})
    body = mapping(call, org.send(call), conn_id=org.conn_id)
    records = objects(body.get("records") or [], call, conn_id=org.conn_id)
    record: Mapping[str, object] = records[0] if len(records) == 1 else {}
    org_id, edition, sandbox = (record.get(name) for name in ("Id", "OrganizationType", "IsSandbox"))
    if not (isinstance(org_id, str) and isinstance(edition, str) and isinstance(sandbox, bool)):
        return None
    return Organization(id=org_id, edition=edition, is_sandbox=sandbox)


def organization(org: Org) -> Iterator[Finding]:
    """Ask which org this is, and hold it against the token's."""
    found = organization_of(org)
    is_it = found is not None and found.id == org.client.org_id
    if found is not None and is_it:
        org.edition = f"{shown(found.edition)}, {'sandbox' if found.is_sandbox else 'no sandbox'}"
    yield ORG.judged(org.edition or "another org, or none", holds=is_it)


def language(org: Org) -> Iterator[Finding]:
    """Ask the identity URL, which takes the scope ``api``, for the user's language."""
    call = Call(method="GET", path=f"/id/{org.client.org_id}/{org.client.user_id}")
    reply = org.send(call)
    found = reply.body.get("language") if reply.taken and isinstance(reply.body, dict) else None
    if not isinstance(found, str) or not _LANGUAGE.fullmatch(found):
        yield LANGUAGE.not_tried(
            f"the identity URL does not say (HTTP {reply.status})",
            "Look at the language of the Run-As user under Setup > Users.",
        )
        return
    is_english = found.lower().startswith("en")
    org.foreign_language = "" if is_english else found
    yield LANGUAGE.judged(found, holds=is_english)


def usage(org: Org) -> Iterator[Finding]:
    """Look for the API usage among the headers of all answers so far that count."""
    headers = [
        exchange.reply.headers
        for exchange in org.exchanges
        if exchange.reply.taken and not exchange.call.path.startswith("/")
    ]
    lacking = [each for each in headers if parse_limit_info(each.get("sforce-limit-info")) is None]
    found = org.client.api_usage
    seen = f"{found.used:,} of {found.max:,} used" if found else "no such header"
    yield USAGE.judged(seen, holds=found is not None and not lacking)


def clock(org: Org) -> Iterator[Finding]:
    """Hold Salesforce's clock, by the newest answer, against this machine's."""
    lacking = [e for e in org.exchanges if parse_http_date(e.reply.headers.get("date")) is None]
    offset = org.client.server_time_offset
    yield DATE.judged("no such header" if lacking else "there", holds=not lacking)
    if offset is None:
        yield OFFSET.not_tried("no answer tells the time", f"See {DATE.name}.")
        return
    seen = f"{abs(offset):.0f} s {'behind' if offset > 0 else 'ahead of'} Salesforce's"
    yield OFFSET.judged(seen, holds=abs(offset) <= MOST_OFFSET)
