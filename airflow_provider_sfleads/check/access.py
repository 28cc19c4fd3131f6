"""Probe what every call relies on: token, org, user, versions, clock; and what describe tells of Lead."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from airflow_provider_sfleads.check.probe import Assumption, Finding, Org, Probe
from airflow_provider_sfleads.hooks.connection_check import no_lead_access
from airflow_provider_sfleads.salesforce.describe import offered_in, parse_describe, versions_call
from airflow_provider_sfleads.salesforce.paging import expect, mapping, objects, sequence
from airflow_provider_sfleads.salesforce.replies import shown
from airflow_provider_sfleads.salesforce.wire import Call, parse_http_date, parse_limit_info

DESCRIBE = Call(method="GET", path="sobjects/Lead/describe")
# Object Reference, "Organization".
_ORGANIZATION = "SELECT Id, OrganizationType, IsSandbox FROM Organization"
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:_\w{2,10})?", re.ASCII)
# Seconds that the clocks may differ: a window of time in which leads are looked for has as much to spare.
_MOST_OFFSET = 60.0
_SYSTEM = ("Id", "IsConverted", "IsDeleted", "CreatedDate", "CreatedById", "SystemModstamp")
_REQUIRED = ("LastName", "Company")
_KEYS = frozenset({"string", "email", "phone", "url", "double", "int", "currency", "percent"})
_STAGES = frozenset({"string", "picklist"})
_NO_FIELD = "Lead has no field {}, or it may not be seen"
_ENCRYPTED = "no query finds by it (Shield Platform Encryption)"

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
    f"at most {_MOST_OFFSET:g} s off",
    "Set this machine's clock by NTP, and that of each worker.",
)
READ = Assumption(
    "lead.read",
    "The Run-As user sees leads",
    "describe of Lead",
    "Give the Run-As user Read on Lead in a permission set.",
)
CREATE = Assumption(
    "lead.create",
    "The Run-As user may create leads",
    "createable",
    "Give the Run-As user Create on Lead; without it nothing can be created.",
)
EDIT = Assumption(
    "lead.edit",
    "The Run-As user may edit leads",
    "updateable",
    "Give the Run-As user Edit on Lead; without it no stage can be moved and nothing be updated.",
)
REQUIRED = Assumption(
    "lead.required_fields",
    "A lead can be created with the fields that it must have",
    f"{' and '.join(_REQUIRED)} are createable",
    "Give the Run-As user Edit on these fields.",
)
SYSTEM = Assumption(
    "lead.system_fields",
    "What look-ups ask for is there",
    "each field is visible",
    "Nobody can take these fields away: check what stands between this machine and Salesforce.",
)
EXTERNAL = Assumption(
    "lead.external_id",
    "The external ID identifies a lead",
    "an External ID, unique, that may be read and written",
    "Tick External ID and Unique on the field, and give the Run-As user Read and Edit on it.",
)
STAGE = Assumption(
    "lead.stage_field",
    "The stage can be read and moved",
    "a text or picklist field that may be read and edited",
    "Name the field that holds the stage, and give the Run-As user Read and Edit on it.",
)
EMAIL = Assumption(
    "lead.email",
    "Leads can be looked up by e-mail",
    "Email is visible and can be filtered on",
    "Give the Run-As user Read on Lead's Email, or set match_email=False.",
)
FIELDS = Assumption(
    "lead.fields",
    "The fields that are written may be written",
    "each is visible and may be edited",
    "Give the Run-As user Read and Edit on them in a permission set. What is read-only for everybody, such as Name and "
    "formulas, cannot be written.",
)


def _token(org: Org) -> Iterator[Finding]:
    org.client.login()
    named = org.client.org_id is not None and org.client.user_id is not None
    flow = "JWT bearer" if org.client.settings.bearer else "client credentials"
    seen = f"given, by {flow}" if named else "given, but it does not say to whom"
    yield TOKEN.judged(seen, holds=named, remedy="Check what stands between this machine and Salesforce.")


def _token_reused(org: Org) -> Iterator[Finding]:
    count = org.client.token_requests
    yield TOKEN_REUSED.judged(f"{count} token request{'s' if count > 1 else ''}", holds=count == 1)


def _versions(org: Org) -> Iterator[Finding]:
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


def _api(org: Org) -> Iterator[Finding]:
    """Make a call that needs nothing but the API."""
    call = Call(method="GET", path="")
    reply = expect(call, org.send(call), conn_id=org.conn_id)
    yield API.judged(f"HTTP {reply.status}", holds=True)


def ask_organization(org: Org) -> tuple[str, str, bool] | None:
    """Ask which org this is: its id, its edition, and whether it is a sandbox; ``None`` where the answer does not say.

    :raises RequestRefusedError: where it may not be asked.
    """
    call = Call(method="GET", path="query", params={"q": _ORGANIZATION})
    body = mapping(call, org.send(call), conn_id=org.conn_id)
    records = objects(body.get("records") or [], call, conn_id=org.conn_id)
    record: Mapping[str, object] = records[0] if len(records) == 1 else {}
    org_id, edition, is_sandbox = (record.get(name) for name in ("Id", "OrganizationType", "IsSandbox"))
    if isinstance(org_id, str) and isinstance(edition, str) and isinstance(is_sandbox, bool):
        return org_id, edition, is_sandbox
    return None


def _organization(org: Org) -> Iterator[Finding]:
    org_id, edition, is_sandbox = ask_organization(org) or ("", "", False)
    is_it = org_id == org.client.org_id
    if is_it:
        org.edition = f"{shown(edition)}, {'sandbox' if is_sandbox else 'no sandbox'}"
    yield ORG.judged(org.edition or "another org, or none", holds=is_it)


def _language(org: Org) -> Iterator[Finding]:
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


def _usage(org: Org) -> Iterator[Finding]:
    """Look for the API usage among the headers of all answers so far that count."""
    counted = [e.reply for e in org.exchanges if e.reply.taken and not e.call.path.startswith("/")]
    lacking = [reply for reply in counted if parse_limit_info(reply.headers.get("sforce-limit-info")) is None]
    found = org.client.api_usage
    seen = f"{found.used:,} of {found.max:,} used" if found else "no such header"
    yield USAGE.judged(seen, holds=found is not None and not lacking)


def _clock(org: Org) -> Iterator[Finding]:
    """Hold Salesforce's clock, by the newest answer, against this machine's."""
    lacking = [e for e in org.exchanges if parse_http_date(e.reply.headers.get("date")) is None]
    offset = org.client.server_time_offset
    yield DATE.judged("no such header" if lacking else "there", holds=not lacking)
    if offset is None:
        yield OFFSET.not_tried("no answer tells the time", f"See {DATE.name}.")
        return
    seen = f"{abs(offset):.0f} s {'behind' if offset > 0 else 'ahead of'} Salesforce's"
    yield OFFSET.judged(seen, holds=abs(offset) <= _MOST_OFFSET)


def _describe(org: Org) -> Iterator[Finding]:
    """Read Lead's describe, which all that follow go by."""
    reply = org.send(DESCRIBE)
    if not reply.taken or not isinstance(reply.body, dict):
        raise no_lead_access(reply, conn_id=org.conn_id)
    org.lead = lead = parse_describe(reply.body)
    yield READ.judged(f"{len(lead.fields)} fields", holds=True)
    for assumption, allowed in ((CREATE, lead.createable), (EDIT, lead.updateable)):
        yield assumption.judged(assumption.expected if allowed else f"not {assumption.expected}", holds=allowed)


def _system_fields(org: Org) -> Iterator[Finding]:
    lacking = org.lead.unseen(_SYSTEM)
    yield SYSTEM.judged(f"not visible: {', '.join(lacking)}" if lacking else ", ".join(_SYSTEM), holds=not lacking)


def _required_fields(org: Org) -> Iterator[Finding]:
    infos = {name: org.lead.find(name) for name in _REQUIRED}
    closed = [name for name, info in infos.items() if info is None or not info.createable]
    more = ", ".join(info.name for info in org.lead.required_on_create if info.name not in _REQUIRED)
    fine = f"both are; this org also requires {more}" if more else "both are"
    yield REQUIRED.judged(f"not createable: {', '.join(closed)}" if closed else fine, holds=not closed)


def _external_id(org: Org) -> Iterator[Finding]:
    name = org.options.external_id_field or ""
    info = org.lead.find(name)
    if info is None:
        yield EXTERNAL.judged(_NO_FIELD.format(name), holds=False)
        return
    objections = [
        "no External ID" if not info.external_id else "",
        "not unique" if not info.unique else "",
        _ENCRYPTED if not info.filterable else "",
        f"of type {info.type}" if info.type not in _KEYS else "",
        # Where no lead may be created at all, that is another line.
        "not createable" if not info.createable and org.lead.createable else "",
    ]
    said = ", ".join(filter(None, objections))
    case = "letter case counts" if info.case_sensitive else "letter case does not count"
    yield EXTERNAL.judged(f"{info.name}: {said or f'External ID, unique, {case}'}", holds=not said)


def _stage_field(org: Org) -> Iterator[Finding]:
    name = org.options.stage_field or ""
    info = org.lead.find(name)
    if info is None:
        yield STAGE.judged(_NO_FIELD.format(name), holds=False)
        return
    objections = [
        f"of type {info.type}" if info.type not in _STAGES else "",
        "not updateable" if not info.updateable and org.lead.updateable else "",
    ]
    said = ", ".join(filter(None, objections))
    stages = f" of {len(info.picklist_values)} values" if info.type == "picklist" else ""
    yield STAGE.judged(f"{info.name}: {said or f'{info.type}{stages}'}", holds=not said)


def _email(org: Org) -> Iterator[Finding]:
    info = org.lead.find("Email")
    seen = "not visible" if info is None else "visible" if info.filterable else _ENCRYPTED
    yield EMAIL.judged(seen, holds=seen == "visible")


def _written_fields(org: Org) -> Iterator[Finding]:
    lacking = [name for name in org.options.fields if org.lead.find(name) is None]
    infos = [info for info in map(org.lead.find, org.options.fields) if info is not None]
    is_open = org.lead.createable or org.lead.updateable
    closed = [info.name for info in infos if is_open and not (info.createable or info.updateable)]
    said = [
        f"not there, or not visible: {', '.join(lacking)}" if lacking else "",
        f"read-only: {', '.join(closed)}" if closed else "",
    ]
    yield FIELDS.judged("; ".join(filter(None, said)) or f"{len(infos)} may", holds=not lacking and not closed)


#: The questions, in their order: all others need ``api``, and what describe tells takes the one call of ``lead.read``.
PROBES = (
    Probe(TOKEN, _token),
    Probe(VERSION_OFFERED, _versions, needs=(TOKEN,)),
    Probe(API, _api, needs=(VERSION_OFFERED,)),
    Probe(ORG, _organization, needs=(API,)),
    Probe(LANGUAGE, _language, needs=(API,)),
    Probe(USAGE, _usage, needs=(API,)),
    Probe(OFFSET, _clock, needs=(API,)),
    Probe(READ, _describe, needs=(API,)),
    Probe(SYSTEM, _system_fields, needs=(READ,)),
    Probe(REQUIRED, _required_fields, needs=(READ, CREATE)),
    Probe(EXTERNAL, _external_id, needs=(READ,), option="external_id_field"),
    Probe(STAGE, _stage_field, needs=(READ,), option="stage_field"),
    Probe(EMAIL, _email, needs=(READ,), option="match_email"),
    Probe(FIELDS, _written_fields, needs=(READ,), option="fields"),
)
#: To be asked when all else was.
LAST = Probe(TOKEN_REUSED, _token_reused, needs=(TOKEN,))
