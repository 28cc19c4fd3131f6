"""Probe what reads leads as the operators do: look-ups, each in the form in which it is really sent, and jobs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice, product
from pathlib import Path

from airflow_provider_sfleads.check.access import API, EMAIL, EXTERNAL, READ, SYSTEM
from airflow_provider_sfleads.check.probe import LATER, Assumption, Exchange, Finding, Org, Probe
from airflow_provider_sfleads.core.keys import compared_by, key_text
from airflow_provider_sfleads.core.values import NUMBERS
from airflow_provider_sfleads.pipeline.lead_search import Window
from airflow_provider_sfleads.pipeline.lookup import STATUS_FIELDS, LeadLookup, Reading, check_contacts
from airflow_provider_sfleads.pipeline.lookup_sources import query_leads
from airflow_provider_sfleads.salesforce import ingest_jobs
from airflow_provider_sfleads.salesforce.collections import MAX_RETRIEVE_IDS
from airflow_provider_sfleads.salesforce.describe import FieldInfo
from airflow_provider_sfleads.salesforce.ids import checksum
from airflow_provider_sfleads.salesforce.paging import checked, expect, query_pages
from airflow_provider_sfleads.salesforce.query_job import Stopped
from airflow_provider_sfleads.salesforce.soql import quote

# Values that a query has to quote. Nobody has such a name or key.
_ODD = ('O\'Check \\ "1" 50%_', "Contract\nCheck\t2", "\\'); -- Check 3")
_NOBODY = "contract-check@nobody.invalid"
_SOME = 5
_MOST_MADE = 10
_STRETCH = timedelta(minutes=10)
_EMAIL_FIELD = FieldInfo(name="Email", type="email")
_TEXTS = ("LastName", "Company", "FirstName", "City", "PostalCode")
_BASE36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PAGE_ROWS = 2
_SOQL = "SELECT Id FROM Lead LIMIT 5"

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
CONVERTED = Assumption(
    "lead.converted_contact",
    "Results can name the contact that a lead became",
    "the field is visible",
    "Give the Run-As user Read on Contact. Without it results carry no contact_id.",
)
JOB = Assumption(
    "query_job.runs",
    "Large look-ups run as query jobs",
    "created, complete, read and deleted",
    "Let the Run-As user use Bulk API (API Enabled is all it takes), and look at Setup > Bulk Data Load Jobs.",
)
PAGES = Assumption(
    "query_job.pages",
    "Their results come in pages",
    "a locator on each page but the last",
    "Let proxies pass the header Sforce-Locator: without it all leads but those of the first page are overlooked.",
)
LIST = Assumption(
    "ingest_jobs.list",
    "Ingest jobs can be listed",
    "a page of jobs",
    "Let the Run-As user use Bulk API: without the list a job whose answer was lost is not found again.",
)


def _lookup(org: Org) -> LeadLookup:
    return LeadLookup(send=org.send, conn_id=org.conn_id, lead=org.lead)


def _some_leads(org: Org) -> Iterator[Finding]:
    """Find the newest leads, which the others look up."""
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
    """Return ids of a lead's form that no org gives out."""
    heads = ("00Q000000000" + "".join(tail) for tail in product("ZY", _BASE36, _BASE36))
    return [head + checksum(head) for head in islice(heads, count)]


def _by_id(org: Org) -> Iterator[Finding]:
    """Read the leads that were found, among as many unknown ids as a call takes."""
    real = [str(lead["Id"]) for lead in org.leads]
    found = _lookup(org).by_id([*real, *_unknown_ids(MAX_RETRIEVE_IDS - len(real))], STATUS_FIELDS)
    fine = found.keys() <= set(real) and not _lost(org, set(real) - found.keys())
    yield BY_ID.judged(f"{MAX_RETRIEVE_IDS:,} answers, {len(found)} of them leads of {len(real)}", holds=fine)


def _lost(org: Org, ids: Collection[str]) -> frozenset[str]:
    """Return those of leads that were there and were not found which nobody has deleted, or merged, in between."""
    return frozenset(ids) - _lookup(org).deleted(ids) if ids else frozenset()


def _by_key(org: Org) -> Iterator[Finding]:
    """Look the leads up that have a key, among keys that nobody has."""
    info = org.lead.find(org.options.external_id_field or "")
    if org.options.external_id_field is None:
        yield BY_KEY.not_tried("no external ID was named", "Give --external-id FIELD.")
    elif info is None or not info.filterable:
        yield BY_KEY.blocked_by(EXTERNAL.name)
    else:
        yield _found_again(BY_KEY, org, info, ("-1",) if info.type in NUMBERS else _ODD)


def _found_again(assumption: Assumption, org: Org, info: FieldInfo, odd: Sequence[str]) -> Finding:
    """Look the leads up by their values of a field, among values that nobody has."""
    sought = {str(lead["Id"]): value for lead in org.leads if (value := key_text(lead.get(info.name)))}
    asked = list(dict.fromkeys([*sought.values(), *odd]))
    # What many leads share, such as a placeholder for an address, would find them all.
    where = f"Id IN ({', '.join(map(quote, sought))})" if sought and not info.unique else ""
    found = _lookup(org).by_field(info, asked, STATUS_FIELDS, where=where)
    compare = compared_by(info)
    again = {
        lead_id
        for lead_id, value in sought.items()
        if any(record["Id"] == lead_id for record in found.get(compare(value), ()))
    }
    seen = f"{len(again)} leads of {len(sought)}" if sought else "taken; no lead has a value to be found by"
    return assumption.judged(seen, holds=not _lost(org, sought.keys() - again))


def _quoting(org: Org) -> Iterator[Finding]:
    """Look for names that hold what a query has to quote; that nobody has them does not matter."""
    info = _searchable(org)
    if info is None:
        yield QUOTING.not_tried("no query finds by names, companies and addresses (Shield Platform Encryption)")
        return
    _lookup(org).by_field(info, _ODD, STATUS_FIELDS, where=_recent(org).condition)
    yield QUOTING.judged("taken as values", holds=True)


def _searchable(org: Org) -> FieldInfo | None:
    """Return a text that no index is needed for, since the time bounds the search; encrypted ones cannot be sought."""
    return next((info for name in _TEXTS if (info := org.lead.find(name)) is not None and info.filterable), None)


def _recent(org: Org) -> Window:
    """Return the last minutes: CreatedDate is indexed, so that no query goes through millions of leads."""
    now, user = datetime.now(UTC), org.client.user_id
    return Window(since=now - _STRETCH, until=now, users=frozenset({user} if user else ()))


def _deleted(org: Org) -> Iterator[Finding]:
    """Ask whether leads are in the recycle bin that were just there, and one that never was."""
    real = [str(lead["Id"]) for lead in org.leads]
    found = _lookup(org).deleted([*real, *_unknown_ids(1)])
    yield DELETED.judged(f"answered for {len(real)} leads; {len(found)} deleted", holds=True)


def _made(org: Org) -> Iterator[Finding]:
    """Look for leads that this user made in the last minutes, as after an insert whose answer was lost."""
    window, lookup, info = _recent(org), _lookup(org), _searchable(org)
    ids = lookup.ids_where(window.condition, most=_MOST_MADE)
    if info is not None:
        lookup.by_field(info, _ODD[:1], ("CreatedDate", "CreatedById"), where=window.condition, deleted=True)
    count = f"more than {_MOST_MADE}" if ids is None else str(len(ids))
    yield MADE.judged(f"{count} in the last {_STRETCH.seconds // 60} minutes", holds=True)


def _by_email(org: Org) -> Iterator[Finding]:
    """Look the leads up that have an e-mail address, and one that nobody has."""
    info = org.lead.find(_EMAIL_FIELD.name)
    if info is None or not info.filterable:
        yield BY_EMAIL.blocked_by(EMAIL.name)
    else:
        yield _found_again(BY_EMAIL, org, _EMAIL_FIELD, (_NOBODY,))


def _contacts(org: Org) -> Iterator[Finding]:
    """Look for contacts, as a sync with ``match_email`` does before it reads its export, and then in earnest."""
    check_contacts(org.send, conn_id=org.conn_id)
    # Addresses of leads would show no more, and one that many contacts share would read them all.
    _lookup(org).by_field(_EMAIL_FIELD, (_NOBODY,), (), sobject="Contact")
    yield CONTACT.judged("taken", holds=True)


def _assignment_rule(org: Org) -> Iterator[Finding]:
    call = ingest_jobs.active_rule_call()
    rule = ingest_jobs.active_rule_of(call, org.send(call), conn_id=org.conn_id)
    yield RULE.judged("an active rule" if rule else "no active rule", holds=True)


def _converted_contact(org: Org) -> Iterator[Finding]:
    there = org.lead.find("ConvertedContactId") is not None
    yield CONVERTED.judged("ConvertedContactId is visible" if there else "no ConvertedContactId", holds=there)


def _query_job(org: Org) -> Iterator[Finding]:
    """Read a few leads by a job, two to a page."""
    before = len(org.exchanges)
    deadline = time.monotonic() + org.timeouts.query
    with tempfile.TemporaryDirectory(prefix="sfleads-check-") as folder:
        reading = Reading(
            send=org.send,
            download=org.download,
            conn_id=org.conn_id,
            concurrency=1,
            directory=Path(folder),
            pause=time.sleep,
            stopped=lambda: time.monotonic() > deadline,
        )
        try:
            leads = query_leads(reading, _SOQL, ("Id",), page_rows=_PAGE_ROWS)
            rows = None if leads is None else sum(batch.num_rows for batch in leads)
        except Stopped:
            yield JOB.not_tried(f"it waits since {org.timeouts.query:g} s in the org's queue", LATER)
            yield PAGES.not_tried(f"{JOB.name} was not tried", f"See {JOB.name}.")
            return
    exchanges = org.exchanges[before:]
    if rows is None:
        last = [e for e in exchanges if e.call.method != "DELETE"][-1]
        expect(last.call, last.reply, conn_id=org.conn_id)
        yield JOB.judged("the job failed", holds=False)
        yield PAGES.blocked_by(JOB.name)
        return
    is_deleted = any(e.call.method == "DELETE" and e.reply.taken for e in exchanges)
    seen = f"{rows} leads read{'' if is_deleted else ', and the job could not be deleted'}"
    yield JOB.judged(seen, holds=is_deleted)
    yield _pages(exchanges, rows)


def _pages(exchanges: Sequence[Exchange], rows: int) -> Finding:
    locators = [e.reply.headers.get("sforce-locator") for e in exchanges if e.call.path.endswith("/results")]
    if None in locators:
        return PAGES.judged("no Sforce-Locator", holds=False)
    if rows <= _PAGE_ROWS and len(locators) == 1:
        return PAGES.not_tried("too few leads for a second page", f"Have {_PAGE_ROWS + 1} leads in the org.")
    ends = locators[-1] == "null" and "null" not in locators[:-1]
    # A page may have less than was asked for.
    return PAGES.judged(f"{rows} leads on {len(locators)} pages", holds=ends and len(locators) > 1)


def _ingest_jobs(org: Org) -> Iterator[Finding]:
    """List the org's ingest jobs, as after a job whose answer was lost."""
    call = ingest_jobs.list_jobs()
    jobs, following = ingest_jobs.jobs_of(call, org.send(call), conn_id=org.conn_id)
    yield LIST.judged(f"{len(jobs)} jobs{', and more' if following else ''}", holds=True)


def probes(*, match_email: bool) -> tuple[Probe, ...]:
    """Return the questions, in their order."""
    return (
        Probe(QUERY, _some_leads, needs=(READ,)),
        Probe(BY_ID, _by_id, needs=(READ,)),
        Probe(BY_KEY, _by_key, needs=(READ,)),
        Probe(QUOTING, _quoting, needs=(READ, SYSTEM)),
        Probe(DELETED, _deleted, needs=(READ,)),
        Probe(MADE, _made, needs=(READ, SYSTEM)),
        Probe(BY_EMAIL, _by_email, needs=(READ,), option="match_email"),
        Probe(CONTACT, _contacts, needs=(API,), option="match_email"),
        Probe(RULE, _assignment_rule, needs=(API,)),
        Probe(CONVERTED, _converted_contact, needs=(READ, CONTACT) if match_email else (READ,)),
        Probe(JOB, _query_job, needs=(READ,)),
        Probe(LIST, _ingest_jobs, needs=(API,)),
    )
