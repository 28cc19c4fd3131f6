"""Rows without an answer: a lead that is there is never made again, and answers for one row only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.core.mapping import FieldMap
from airflow_provider_sfleads.core.outcome import Action, UnansweredSend
from airflow_provider_sfleads.pipeline.lead_search import LeadSearch, Presence, SearchResult, person_of
from airflow_provider_sfleads.pipeline.lookup import LeadLookup
from airflow_provider_sfleads.pipeline.plan import Candidate, Item
from airflow_provider_sfleads.salesforce.describe import SObjectInfo
from tests.pipeline.org import NOW, USER, Org
from tests.pipeline.runs import create_plan, describe

SENT = datetime.fromisoformat(NOW)
LATE = timedelta(minutes=12)
COLUMNS = {"name": "LastName", "first": "FirstName", "firm": "Company", "mail": "Email"}
PLAN, _ = create_plan(("id", *COLUMNS), external_id_field=None, field_map=FieldMap(columns=COLUMNS))
OTHER = "005000000000009AAA"


def item(number: int, **record: str) -> Item:
    """A row that was sent."""
    candidate = Candidate(key=str(number), row={}, record=record)
    return Item(candidate=candidate, kind=PLAN.ways[0][0], record=record, expected=Action.CREATED)  # type: ignore[attr-defined]


def ask(
    org: Org,
    records: Sequence[dict[str, str]],
    *,
    at: datetime = SENT + LATE,
    claimed: Sequence[str] = (),
    lead: SObjectInfo | None = None,
    **more: Any,
) -> list[SearchResult]:
    """Ask for rows that were sent at ``SENT``."""
    search = LeadSearch(
        lead=lead or describe(),
        fields=PLAN.recipe.fields,
        late=LATE,
        claimed=lambda ids, _since: set(ids) & set(claimed),
        now=lambda: at,
    )
    rows = [(item(number, **record), UnansweredSend.at(SENT, USER)) for number, record in enumerate(records)]
    return search.ask(rows, LeadLookup(send=org.send, conn_id="sf", lead=describe()), **more)


def standings(results: Sequence[SearchResult]) -> list[Presence]:
    """What is known of each."""
    return [result.presence for result in results]


RAY = {"LastName": "Ray", "Company": "Acme"}

people = st.builds(
    lambda last, first, mail: (
        {"LastName": last, "Company": "Acme"}
        | ({"FirstName": first} if first else {})
        | ({"Email": mail} if mail else {})
    ),
    st.sampled_from(["Ray", "ray", "Poe"]),
    st.sampled_from(["", "Al", "Bo"]),
    st.sampled_from(["", "a@b.example", "c@d.example"]),
)


@settings(max_examples=300, deadline=None)
@given(
    rows=st.lists(st.tuples(people, st.booleans()), min_size=1, max_size=7),
    others=st.lists(people, max_size=3),
    cut=st.integers(0, 7),
)
def test_no_lead_is_made_again(rows: list[tuple[dict[str, str], bool]], others: list[dict[str, str]], cut: int) -> None:
    """Whichever of the rows went through, asked for together or in two parts, with leads of others beside them."""
    org = Org()
    for other in others:
        org.add(CreatedDate=NOW, **{**other, "CreatedById": OTHER})
    made = [org.add(CreatedDate=NOW, **record) for record, went in rows if went]
    records = [record for record, _ in rows]
    results = ask(org, records[:cut], are_all=False) if records[:cut] else []
    taken = [result.lead_id for result in results if result.lead_id]
    results += ask(org, records[cut:], claimed=taken, are_all=not cut) if records[cut:] else []

    answered = [result.lead_id for result in results if result.presence is Presence.THERE]
    assert len(set(answered)) == len(answered)
    assert set(answered) <= set(made)
    sent = Counter(tuple(sorted(record.items())) for record in records)
    absent = Counter(
        tuple(sorted(record.items()))
        for record, result in zip(records, results, strict=True)
        if result.presence is Presence.ABSENT
    )
    there = Counter(tuple(sorted(record.items())) for record, went in rows if went)
    assert all(there[record] + absent[record] <= sent[record] for record in sent)


def test_found_at_once_and_absent_only_after_the_time() -> None:
    """Finding is proof at any time, not finding only when Salesforce can no longer carry the call out."""
    org = Org()
    lead = org.add(CreatedDate=NOW, **RAY)
    poe = {**RAY, "LastName": "Poe"}
    there, young = ask(org, [RAY, poe], at=SENT)
    assert (there.presence, there.lead_id) == (Presence.THERE, lead)
    assert (young.presence, young.known_from) == (Presence.OPEN, SENT + LATE)
    assert standings(ask(org, [RAY, poe], at=SENT + LATE - timedelta(seconds=1))) == [Presence.THERE, Presence.OPEN]
    assert standings(ask(org, [RAY, poe])) == [Presence.THERE, Presence.ABSENT]


def test_no_query_looks_for_a_value_that_it_cannot_find() -> None:
    """Names and addresses that are encrypted at random: a lead that may be the row's leaves it to a person."""
    org = Org()
    lead = org.add(CreatedDate=NOW, **RAY)
    sealed = describe(LastName={"filterable": False}, Email={"filterable": False})
    (ray,) = ask(org, [RAY], lead=sealed)

    assert (ray.presence, ray.lead_id) == (Presence.OPEN, None)
    assert ray.why is not None
    assert lead in ray.why
    asked = [str((call.params or {}).get("q")) for call in org.calls]
    assert not [soql for soql in asked if "LastName IN" in soql or "Email IN" in soql]


@pytest.mark.parametrize(
    ("lead", "standing"),
    [
        ({}, Presence.THERE),
        ({"Company": "Acme Inc."}, Presence.OPEN),
        ({"LastName": "RAY"}, Presence.OPEN),
        ({"FirstName": "Al"}, Presence.OPEN),
        ({"Email": "a@b.example"}, Presence.OPEN),
        ({"CreatedDate": "2026-11-23T00:10:00.000+0000"}, Presence.ABSENT),
        ({"CreatedById": OTHER}, Presence.ABSENT),
        ({"IsDeleted": True}, Presence.THERE),
        ({"IsDeleted": True, "Company": "Acme Inc."}, Presence.ABSENT),
        ({"LastName": "Roy"}, Presence.OPEN),
        ({"LastName": "Roy", "Company": "Other"}, Presence.ABSENT),
        ({"Company": "Acme Inc.", "External_Id__c": "K-1"}, Presence.OPEN),
        ({"CreatedDate": "2026-11-24T00:23:00.000+0000"}, Presence.THERE),
        ({"CreatedDate": "2026-11-24T00:24:00.000+0000"}, Presence.ABSENT),
    ],
)
def test_what_answers_for_a_row(lead: dict[str, object], standing: Presence) -> None:
    """All values and no others; made in that time by the same user; also where Sales has deleted it meanwhile.

    One that differs may be the row's in disguise while it is there, whatever automation wrote into it.
    """
    org = Org()
    org.add(**{"CreatedDate": NOW, **RAY, **lead})
    assert standings(ask(org, [RAY])) == [standing]


@pytest.mark.parametrize(
    ("lead", "standing"),
    [
        ({"Company": "Acme Inc.", "Email": "A@b.example"}, Presence.THERE),
        ({"Company": "Acme Inc.", "Email": "other@b.example"}, Presence.OPEN),
        ({"LastName": "Roy", "FirstName": "Bo", "Company": "Other", "Email": "other@b.example"}, Presence.ABSENT),
        ({"Company": "Acme Inc.", "Email": None}, Presence.OPEN),
        ({"LastName": "Roy", "Email": "a@b.example"}, Presence.OPEN),
        ({"FirstName": "Bo", "Email": None}, Presence.OPEN),
        ({"FirstName": "Bo"}, Presence.OPEN),
    ],
)
def test_whoever_has_an_address_is_known_by_it(lead: dict[str, object], standing: Presence) -> None:
    """Name and address are one person's, whatever else automation changed; with less in common it may be another's."""
    org = Org()
    row = {**RAY, "FirstName": "Al", "Email": "a@b.example"}
    org.add(**{"CreatedDate": NOW, **row, **lead})
    assert standings(ask(org, [row])) == [standing]


def test_two_rows_of_one_person_are_not_told_by_the_address() -> None:
    """Whose the lead is that automation has changed, nobody can say; nor where other rows are in doubt beside these."""
    org = Org()
    row = {**RAY, "Email": "a@b.example"}
    org.add(**{"CreatedDate": NOW, **row, "Company": "Acme Inc."})
    assert standings(ask(org, [row, {**row, "FirstName": "Al"}])) == [Presence.OPEN] * 2
    assert standings(ask(org, [row], are_all=False)) == [Presence.OPEN]
    assert standings(ask(org, [row])) == [Presence.THERE]


def test_a_recorded_lead_answers_for_its_own_row_only() -> None:
    """What is in the results already is not free."""
    org = Org()
    lead = org.add(CreatedDate=NOW, **RAY)
    assert standings(ask(org, [RAY], claimed=[lead])) == [Presence.ABSENT]


@pytest.mark.parametrize("is_as_sent", [True, False])
def test_a_key_answers_for_its_row(is_as_sent: bool) -> None:  # noqa: FBT001
    """Where the key is written to a field, it counts with the values: with others somebody else made the lead."""
    org = Org()
    lead = org.add(CreatedDate=NOW, External_Id__c="K-1", **(RAY if is_as_sent else RAY | {"Company": "changed"}))
    keyed = item(1, External_Id__c="K-1", **RAY)
    keyed = replace(keyed, kind=replace(keyed.kind, operation="upsert", external_id_field="External_Id__c"))
    search = LeadSearch(
        lead=describe(), fields=PLAN.recipe.fields, late=LATE, claimed=lambda _ids, _since: (), now=lambda: SENT
    )
    (result,) = search.ask(
        [(keyed, UnansweredSend.at(SENT, USER))], LeadLookup(send=org.send, conn_id="sf", lead=describe())
    )
    assert result.lead_id == (lead if is_as_sent else None)


@pytest.mark.parametrize(("then", "standing"), [("Mueler", Presence.THERE), ("Miller", Presence.ABSENT)])
def test_a_row_that_has_changed_since(then: str, standing: Presence) -> None:
    """The export is read anew: the lead is that of the person of whom the row spoke when it was sent."""
    org = Org()
    lead = org.add(CreatedDate=NOW, LastName="Mueler", Company="Other")
    doubt = UnansweredSend.at(SENT, USER, [person_of(describe(), {"LastName": then})])
    search = LeadSearch(
        lead=describe(), fields=PLAN.recipe.fields, late=LATE, claimed=lambda _ids, _since: (), now=lambda: SENT + LATE
    )
    (result,) = search.ask(
        [(item(1, LastName="Mueller", Company="Acme"), doubt)], LeadLookup(send=org.send, conn_id="sf", lead=describe())
    )
    assert (result.presence, result.lead_id) == (standing, lead if standing is Presence.THERE else None)


@pytest.mark.parametrize("name", ["\tRay", "Ray\n", " Ray "])
def test_blanks_at_the_edge(name: str) -> None:
    """Whichever of them Salesforce cuts off."""
    for stored in (name.strip(" "), name.strip()):
        org = Org()
        org.add(CreatedDate=NOW, LastName=stored, Company="Acme")
        assert standings(ask(org, [{**RAY, "LastName": name}])) == [Presence.THERE]


def test_one_value_in_common_is_not_enough() -> None:
    """Else a lead of anybody in the same town would hold up a whole page."""
    row = {"LastName": "Ray", "FirstName": "Al", "Company": "Acme", "Email": "a@b.example"}
    org = Org()
    org.add(CreatedDate=NOW, LastName="Poe", FirstName="Bo", Company="Acme", Email="p@o.example")
    assert standings(ask(org, [row])) == [Presence.ABSENT]
    org.add(CreatedDate=NOW, LastName="Poe", FirstName="Al", Company="Acme", Email="q@o.example")
    assert standings(ask(org, [row])) == [Presence.OPEN]
