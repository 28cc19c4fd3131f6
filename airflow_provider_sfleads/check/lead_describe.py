"""Probe what describe tells of Lead: object, fields, and what of them the Run-As user may see and write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from airflow_provider_sfleads.check.access import API
from airflow_provider_sfleads.check.probe import Assumption, Finding, Org, Probe
from airflow_provider_sfleads.hooks.connection_check import no_lead_access
from airflow_provider_sfleads.salesforce.describe import FieldInfo, parse_describe
from airflow_provider_sfleads.salesforce.wire import Call

_SYSTEM = ("Id", "IsConverted", "IsDeleted", "CreatedDate", "CreatedById", "SystemModstamp")
_REQUIRED = ("LastName", "Company")
_KEYS = frozenset({"string", "email", "phone", "url", "double", "int", "currency", "percent"})
_STAGES = frozenset({"string", "picklist"})

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
CONVERTED = Assumption(
    "lead.converted_contact",
    "Results can name the contact that a lead became",
    "the field is visible",
    "Give the Run-As user Read on Contact. Without it results carry no contact_id.",
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


def probes() -> tuple[Probe, ...]:
    """Return the questions, of which the first makes the only call."""
    return (
        Probe(READ, describe, needs=(API,)),
        Probe(SYSTEM, system_fields, needs=(READ,)),
        Probe(REQUIRED, required_fields, needs=(READ, CREATE)),
        Probe(EXTERNAL, external_id, needs=(READ,)),
        Probe(STAGE, stage_field, needs=(READ,)),
        Probe(EMAIL, email, needs=(READ,)),
        Probe(FIELDS, written_fields, needs=(READ,)),
    )


def describe(org: Org) -> Iterator[Finding]:
    """Read Lead's describe."""
    call = Call(method="GET", path="sobjects/Lead/describe")
    reply = org.send(call)
    if not reply.taken or not isinstance(reply.body, dict):
        raise no_lead_access(reply, conn_id=org.conn_id)
    org.lead = lead = parse_describe(reply.body)
    yield READ.judged(f"{len(lead.fields)} fields", holds=True)
    for assumption, allowed in ((CREATE, lead.createable), (EDIT, lead.updateable)):
        yield assumption.judged(assumption.expected if allowed else f"not {assumption.expected}", holds=allowed)


def _lacking(org: Org, names: Iterable[str]) -> list[str]:
    return [name for name in names if org.lead.find(name) is None]


def system_fields(org: Org) -> Iterator[Finding]:
    """Look for the fields that every look-up asks for."""
    lacking = _lacking(org, _SYSTEM)
    yield SYSTEM.judged(f"not visible: {', '.join(lacking)}" if lacking else ", ".join(_SYSTEM), holds=not lacking)


def converted_contact(org: Org) -> Iterator[Finding]:
    """Look for the field that says whom a lead became."""
    there = org.lead.find("ConvertedContactId") is not None
    yield CONVERTED.judged("ConvertedContactId is visible" if there else "no ConvertedContactId", holds=there)


def required_fields(org: Org) -> Iterator[Finding]:
    """Look for the fields without which Salesforce creates no lead."""
    closed = [name for name in _REQUIRED if not _createable(org.lead.find(name))]
    more = ", ".join(info.name for info in org.lead.required_on_create if info.name not in _REQUIRED)
    fine = f"both are; this org also requires {more}" if more else "both are"
    yield REQUIRED.judged(f"not createable: {', '.join(closed)}" if closed else fine, holds=not closed)


def _createable(info: FieldInfo | None) -> bool:
    return info is not None and info.createable


def _named(org: Org, name: str | None, assumption: Assumption, option: str) -> FieldInfo | Finding:
    """The field of that name, or the finding where there is none."""
    if name is None:
        return assumption.not_tried("none was named", f"Give {option} FIELD.")
    info = org.lead.find(name)
    return info or assumption.judged(f"Lead has no field {name}, or it may not be seen", holds=False)


def external_id(org: Org) -> Iterator[Finding]:
    """Judge the external ID, where one is wanted."""
    info = _named(org, org.options.external_id_field, EXTERNAL, "--external-id")
    if isinstance(info, Finding):
        yield info
        return
    objections = [
        "no External ID" if not info.external_id else "",
        "not unique" if not info.unique else "",
        "no query finds by it (Shield Platform Encryption)" if not info.filterable else "",
        f"of type {info.type}" if info.type not in _KEYS else "",
        # Where no lead may be created at all, that is another line.
        "not createable" if not info.createable and org.lead.createable else "",
    ]
    said = ", ".join(filter(None, objections))
    case = "letter case counts" if info.case_sensitive else "letter case does not count"
    yield EXTERNAL.judged(f"{info.name}: {said or f'External ID, unique, {case}'}", holds=not said)


def stage_field(org: Org) -> Iterator[Finding]:
    """Judge the field of the stage, where one is wanted."""
    info = _named(org, org.options.stage_field, STAGE, "--stage-field")
    if isinstance(info, Finding):
        yield info
        return
    objections = [
        f"of type {info.type}" if info.type not in _STAGES else "",
        "not updateable" if not info.updateable and org.lead.updateable else "",
    ]
    said = ", ".join(filter(None, objections))
    stages = f" of {len(info.picklist_values)} values" if info.type == "picklist" else ""
    yield STAGE.judged(f"{info.name}: {said or f'{info.type}{stages}'}", holds=not said)


def email(org: Org) -> Iterator[Finding]:
    """Judge Lead's Email, where people are looked up by it."""
    if not org.options.match_email:
        yield EMAIL.not_tried("match_email is not used", "Give --match-email.")
        return
    info = org.lead.find("Email")
    if info is None:
        yield EMAIL.judged("not visible", holds=False)
        return
    seen = "visible" if info.filterable else "no query finds by it (Shield Platform Encryption)"
    yield EMAIL.judged(seen, holds=info.filterable)


def written_fields(org: Org) -> Iterator[Finding]:
    """Judge the further fields that Dags write, where some are named."""
    if not org.options.fields:
        yield FIELDS.not_tried("none was named", "Give --field FIELD, as often as there are some.")
        return
    lacking = _lacking(org, org.options.fields)
    infos = [info for info in map(org.lead.find, org.options.fields) if info is not None]
    closed = [info.name for info in infos if not (info.createable or info.updateable)]
    closed = closed if org.lead.createable or org.lead.updateable else []
    said = [
        f"not there, or not visible: {', '.join(lacking)}" if lacking else "",
        f"read-only: {', '.join(closed)}" if closed else "",
    ]
    yield FIELDS.judged("; ".join(filter(None, said)) or f"{len(infos)} may", holds=not lacking and not closed)
