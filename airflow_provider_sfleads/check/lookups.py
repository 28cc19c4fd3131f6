"""Probe the look-ups of the operators, each in the form in which it is really sent."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from airflow_provider_sfleads.check.access import API
from airflow_provider_sfleads.check.lead_describe import EMAIL, EXTERNAL, READ, SYSTEM
from airflow_provider_sfleads.check.probe import Assumption, Finding, Org, Probe
from airflow_provider_sfleads.core.keys import compared_by, key_text
from airflow_provider_sfleads.core.values import NUMBERS
from airflow_provider_sfleads.pipeline.lead_search import Window
from airflow_provider_sfleads.pipeline.lookup import STATUS_FIELDS, LeadLookup, check_contacts
from airflow_provider_sfleads.salesforce.collections import MAX_RETRIEVE_IDS
from airflow_provider_sfleads.salesforce.describe import FieldInfo
from airflow_provider_sfleads.salesforce.ids import checksum
from airflow_provider_sfleads.salesforce.ingest_jobs import active_rule_call, active_rule_of
from airflow_provider_sfleads.salesforce.paging import checked, query_pages
from airflow_provider_sfleads.salesforce.soql import quote

#: Values that a query has to quote. Nobody has such a name or key.
ODD = ('O\'Check \\ "1" 50%_', "Contract\nCheck\t2", "\\'); -- Check 3")
_NOBODY = "contract-check@nobody.invalid"
_SOME = 5
_MOST_MADE = 10
_STRETCH = timedelta(minutes=10)
_EMAIL_FIELD = FieldInfo(name="Email", type="email")
_TEXTS = ("LastName", "Company", "FirstName", "City", "PostalCode")
_ALL_ENCRYPTED = "no query finds by names, companies and addresses (Shield Platform Encryption)"
_BASE36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

QUERY = Assumption(
    "lookup.query",
    "Leads can be queried",
    "records with the fields asked for",
    "Give the Run-As user Read on Lead, and View All to find leads of other owners.",
)
BY_ID = Assumption(
    "lookup.by_id",
    f"{MAX_RETRIEVE_IDS:,} leads can be read by id in one call",
    f"{MAX_RETRIEVE_IDS:,} answers, null for an unknown id",
    "Check what stands between this machine and Salesforce; else report it.",
)
BY_KEY = Assumption(
    "lookup.by_key",
    "Leads are found by their key",
    "each lead under its own key",
    "Give the Run-As user Read on the external ID, and View All on Lead to find those of other owners.",
)
QUOTING = Assumption(
    "lookup.quoting",
    "Odd values can be looked up",
    "quotes, backslashes and line breaks are values",
    "Check what stands between this machine and Salesforce; else report it.",
)
DELETED = Assumption(
    "lookup.deleted",
    "The recycle bin can be seen",
    "queryAll with IsDeleted",
    "Give the Run-As user Read on Lead; without it deleted leads are reported as not found.",
)
MADE = Assumption(
    "lookup.made",
    "Leads made in a stretch of time can be found",
    "a query with dates and the user",
    "Give the Run-As user Read on Lead; without it lost answers to plain inserts cannot be cleared up.",
)
BY_EMAIL = Assumption(
    "lookup.by_email",
    "Leads are found by e-mail",
    "each lead under its own address",
    "Give the Run-As user Read on Lead's Email, or set match_email=False.",
)
CONTACT = Assumption(
    "contact.read",
    "Contacts are found by e-mail",
    "a query of Contact by Email",
    "Give the Run-As user Read on Contact and on its Email (and View All), or set match_email=False.",
)
RULE = Assumption(
    "assignment_rule.read",
    "The active assignment rule can be read",
    "rules may be read",
    "Give the Run-As user View Setup and Configuration, give assignment_rule the rule's own id, or take "
    "api='collections'.",
)


def probes() -> tuple[Probe, ...]:
    """Return the questions; the first finds some leads, which the others look up."""
    return (
        Probe(QUERY, some_leads, needs=(READ,)),
        Probe(BY_ID, by_id, needs=(READ,)),
        Probe(BY_KEY, by_key, needs=(READ,)),
        Probe(QUOTING, quoting, needs=(READ, SYSTEM)),
        Probe(DELETED, deleted, needs=(READ,)),
        Probe(MADE, made, needs=(READ, SYSTEM)),
        Probe(BY_EMAIL, by_email, needs=(READ,)),
        Probe(CONTACT, contacts, needs=(API,)),
        Probe(RULE, assignment_rule, needs=(API,)),
    )


def _lookup(org: Org) -> LeadLookup:
    return LeadLookup(send=org.send, conn_id=org.conn_id, lead=org.lead)


def some_leads(org: Org) -> Iterator[Finding]:
    """Find the newest leads."""
    external = org.options.external_id_field
    wanted = (external, org.options.stage_field, "Email" if org.options.match_email else None)
    infos = [org.lead.find(name) for name in wanted if name]
    names = list(dict.fromkeys([*org.lead.visible(STATUS_FIELDS), *(info.name for info in infos if info)]))
    soql = f"SELECT {', '.join(names)} FROM Lead ORDER BY CreatedDate DESC LIMIT {_SOME}"  # noqa: S608 - names of describe
    pages = query_pages(org.send, soql, resource="query", conn_id=org.conn_id, most=_SOME)
    org.leads = checked([record for page in pages for record in page], names, sobject="Lead", conn_id=org.conn_id)
    count = len(org.leads)
    yield QUERY.judged(f"the newest {count}" if count else "no lead in the org, or none that is visible", holds=True)


def _unknown_ids(count: int) -> list[str]:
    """Ids of a lead's form that no org gives out."""
    heads = (f"00Q000000000Z{_BASE36[n // 36 % 36]}{_BASE36[n % 36]}" for n in range(36 * 36))
    more = (f"00Q000000000Y{_BASE36[n // 36 % 36]}{_BASE36[n % 36]}" for n in range(36 * 36))
    return [head + checksum(head) for head in (*heads, *more)][:count]


def by_id(org: Org) -> Iterator[Finding]:
    """Read the leads that were found, among as many unknown ids as a call takes."""
    real = [str(lead["Id"]) for lead in org.leads]
    ids = [*real, *_unknown_ids(MAX_RETRIEVE_IDS - len(real))]
    found = _lookup(org).by_id(ids, STATUS_FIELDS)
    fine = found.keys() <= set(real) and not _lost(org, set(real) - found.keys())
    yield BY_ID.judged(f"{MAX_RETRIEVE_IDS:,} answers, {len(found)} of them leads of {len(real)}", holds=fine)


def _lost(org: Org, ids: Collection[str]) -> frozenset[str]:
    """Those of leads that were there and were not found which nobody has deleted, or merged, in between."""
    return frozenset(ids) - _lookup(org).deleted(ids) if ids else frozenset()


def by_key(org: Org) -> Iterator[Finding]:
    """Look the leads up that have a key, among keys that nobody has."""
    info = org.lead.find(org.options.external_id_field or "")
    if info is None or not info.filterable:
        seen = "no external ID was named" if org.options.external_id_field is None else f"{EXTERNAL.name} does not hold"
        remedy = "Give --external-id FIELD." if org.options.external_id_field is None else f"See {EXTERNAL.name}."
        yield BY_KEY.not_tried(seen, remedy)
        return
    odd = ("-1",) if info.type in NUMBERS else ODD
    yield _found_again(BY_KEY, org, info, odd)


def _found_again(assumption: Assumption, org: Org, info: FieldInfo, odd: Sequence[str]) -> Finding:
    """Look the leads up by their values of a field, among values that nobody has."""
    values = {str(lead["Id"]): key_text(lead.get(info.name)) for lead in org.leads}
    sought = {lead_id: value for lead_id, value in values.items() if value}
    asked = list(dict.fromkeys([*sought.values(), *odd]))
    # What many leads share, such as a placeholder for an address, would find them all.
    where = f"Id IN ({', '.join(map(quote, sought))})" if sought and not info.unique else ""
    found = _lookup(org).by_field(info, asked, STATUS_FIELDS, where=where)
    compare = compared_by(info)
    again = [
        lead_id
        for lead_id, value in sought.items()
        if lead_id in {str(record["Id"]) for record in found.get(compare(value), ())}
    ]
    seen = f"{len(again)} leads of {len(sought)}" if sought else "taken; no lead has a value to be found by"
    return assumption.judged(seen, holds=not _lost(org, sought.keys() - set(again)))


def quoting(org: Org) -> Iterator[Finding]:
    """Look for names that hold what a query has to quote; that nobody has them does not matter."""
    info = _searchable(org)
    if info is None:
        yield QUOTING.not_tried(_ALL_ENCRYPTED)
        return
    _lookup(org).by_field(info, ODD, STATUS_FIELDS, where=_recent(org).condition)
    yield QUOTING.judged("taken as values", holds=True)


def _searchable(org: Org) -> FieldInfo | None:
    """Return a text that no index is needed for, since the time bounds the search; encrypted ones cannot be sought."""
    return next((info for name in _TEXTS if (info := org.lead.find(name)) is not None and info.filterable), None)


def _recent(org: Org) -> Window:
    """The last minutes: CreatedDate is indexed, so that no query goes through millions of leads."""
    now = datetime.now(UTC)
    user = org.client.user_id
    return Window(since=now - _STRETCH, until=now, users=frozenset({user} if user else ()))


def deleted(org: Org) -> Iterator[Finding]:
    """Ask whether leads are in the recycle bin that were just there, and one that never was."""
    real = [str(lead["Id"]) for lead in org.leads]
    found = _lookup(org).deleted([*real, *_unknown_ids(1)])
    yield DELETED.judged(f"answered for {len(real)} leads; {len(found)} deleted", holds=True)


def made(org: Org) -> Iterator[Finding]:
    """Look for leads that this user made in the last minutes, as after an insert whose answer was lost."""
    window, lookup = _recent(org), _lookup(org)
    ids = lookup.ids_where(window.condition, most=_MOST_MADE)
    info = _searchable(org)
    if info is not None:
        lookup.by_field(info, ODD[:1], ("CreatedDate", "CreatedById"), where=window.condition, deleted=True)
    count = f"more than {_MOST_MADE}" if ids is None else str(len(ids))
    yield MADE.judged(f"{count} in the last {_STRETCH.seconds // 60} minutes", holds=True)


def by_email(org: Org) -> Iterator[Finding]:
    """Look the leads up that have an e-mail address, and one that nobody has."""
    if not org.options.match_email:
        yield BY_EMAIL.not_tried("match_email is not used", "Give --match-email.")
        return
    info = org.lead.find(_EMAIL_FIELD.name)
    if info is None or not info.filterable:
        yield BY_EMAIL.not_tried(f"{EMAIL.name} does not hold", f"See {EMAIL.name}.")
        return
    yield _found_again(BY_EMAIL, org, _EMAIL_FIELD, (_NOBODY,))


def contacts(org: Org) -> Iterator[Finding]:
    """Look for contacts, as a sync with ``match_email`` does before it reads its export, and then in earnest."""
    if not org.options.match_email:
        yield CONTACT.not_tried("match_email is not used", "Give --match-email.")
        return
    check_contacts(org.send, conn_id=org.conn_id)
    # Addresses of leads would show no more, and one that many contacts share would read them all.
    _lookup(org).by_field(_EMAIL_FIELD, (_NOBODY,), (), sobject="Contact")
    yield CONTACT.judged("taken", holds=True)


def assignment_rule(org: Org) -> Iterator[Finding]:
    """Read the org's active rule, as bulk loads do."""
    call = active_rule_call()
    rule = active_rule_of(call, org.send(call), conn_id=org.conn_id)
    yield RULE.judged("an active rule" if rule else "no active rule", holds=True)
