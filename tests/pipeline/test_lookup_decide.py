"""Look-ups in columns decide as the plans themselves do."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.core.mapping import FieldMap
from airflow_provider_sfleads.core.outcome import Action
from airflow_provider_sfleads.core.stage import StageRule
from airflow_provider_sfleads.exceptions import ServiceUnavailableError
from airflow_provider_sfleads.pipeline.create_plan import CreatePlan
from airflow_provider_sfleads.pipeline.lookup import LeadLookup, Leads, Reading
from airflow_provider_sfleads.pipeline.lookup_decide import APART, REFUSED, SETTLED, ReadLeads, decide
from airflow_provider_sfleads.pipeline.lookup_sources import Wanted, query_leads, read_leads
from airflow_provider_sfleads.pipeline.plan import Candidate, Deferred, Item, Settled
from airflow_provider_sfleads.pipeline.prepare import prepare
from airflow_provider_sfleads.pipeline.stage_plan import StagePlan
from tests.pipeline.asking import AskedOrg, Known, staged
from tests.pipeline.org import LONG_AGO, NOW, USER, Org, lead_id
from tests.pipeline.runs import LADDER, Seen, create_request, describe, ground, stage_request, taken_in

COLUMNS = {
    "name": "LastName", "firm": "Company", "mail": "Email", "points": "Score__c", "number": "Number_Id__c",
}  # fmt: skip
KEYS = st.sampled_from(["k1", "K1", " k2", "k3", "é4", "É4", "o'5", "k6"])
NUMBER_KEYS = st.sampled_from(["1", "2", "3.5", "40"])
IDS = st.one_of(st.none(), st.integers(1, 9).map(lead_id))
NAMES = st.sampled_from([None, "Ray", " Ray", "ray", "Ray\nPoe", "#N/A"])
POINTS = st.one_of(st.none(), st.sampled_from([Decimal(5), Decimal("5.4"), Decimal("5.5"), Decimal("1E+3")]))
STAGES = st.sampled_from([None, "New", "MQL", "SQL", "Odd"])
ROWS = st.fixed_dictionaries(
    {
        "name": NAMES,
        "firm": st.sampled_from([None, "Acme"]),
        "mail": st.sampled_from([None, "a@b.org", "A@b.org"]),
        "points": POINTS,
        "number": st.just(None),
        "lead": IDS,
    }
)
LEADS = st.fixed_dictionaries(
    {
        "External_Id__c": st.one_of(st.none(), KEYS.map(str.strip)),
        "Number_Id__c": st.one_of(st.none(), NUMBER_KEYS.map(Decimal)),
        "LastName": NAMES,
        "Company": st.sampled_from([None, "Acme", "ACME"]),
        "Email": st.sampled_from([None, "a@b.org"]),
        "Score__c": POINTS,
        "Lead_Stage__c": STAGES,
        "IsConverted": st.sampled_from([False, False, False, True]),
        "CreatedDate": st.sampled_from([LONG_AGO, NOW]),
        "CreatedById": st.sampled_from([USER, "005000000000002AAA"]),
        "IsDeleted": st.sampled_from([False, False, False, True]),
    }
)


def org_of(leads: Sequence[dict[str, Any]]) -> Org:
    """An org with these leads; a converted one has become a contact."""
    org = Org()
    for lead in leads:
        org.add(**lead, ConvertedContactId="003000000000001AAA" if lead["IsConverted"] else None)
    return org


def by_job(reading: Reading, wanted: Wanted) -> Leads:
    """All leads of the org, however few are wanted."""
    leads = query_leads(reading, f"SELECT {', '.join(wanted.fields)} FROM Lead", wanted.fields)  # noqa: S608
    assert leads is not None
    return leads


SOURCES = st.sampled_from([read_leads, by_job])
Line = tuple[object, ...]


def shown(line: Item | Settled | Deferred) -> Line:
    """What the plan itself decides of a row."""
    if isinstance(line, Item):
        return (line.kind, line.expected, line.salesforce_id, line.old_stage, line.new_stage)
    if isinstance(line, Deferred):
        return ("later",)
    outcome = line.outcome
    # Refused, or maybe created by an earlier try: the row code is to say so.
    if outcome.action in (Action.REJECTED, Action.CREATED):
        return ("left to the row code",)
    return (outcome.action, outcome.reason, outcome.salesforce_id, outcome.contact_id, outcome.old_stage)


def decided(
    plan: CreatePlan | StagePlan, candidates: Sequence[Candidate], marks: Sequence[bool], org: Org, read: ReadLeads
) -> list[Line]:
    """What is decided by the column."""
    memory = Known()
    for candidate in candidates:
        if candidate.lead_id:
            memory.add(candidate.lead_id, "id")
    fields = [info.name for info in plan.recipe.fields]
    with TemporaryDirectory() as folder:
        reading = AskedOrg(org).reading(Path(folder))
        decisions = decide(plan, staged(candidates, fields, apart=marks), reading, memory, read=read)
        assert not list(Path(folder).iterdir())
    assert len(decisions.classes) == len(candidates)
    columns = chain(*(decisions.columns(at, 2).to_pylist() for at in range(0, len(candidates), 2)))
    lines: list[Line] = []
    for position, (known, row) in enumerate(zip(decisions.classes.tolist(), columns, strict=True)):
        if known == APART:
            lines.append(("left to the row code",))
        elif known == REFUSED:
            lines.append(shown(decisions.refused[position]))
        elif known == SETTLED:
            names = ("action", "reason", "salesforce_id", "contact_id", "old_stage")
            lines.append(tuple(row[name] for name in names))
        else:
            way = decisions.ways[known]
            assert (row["action"], row["reason"]) == (None, None)
            lines.append((way.kind, way.expected, *(row[name] for name in ("salesforce_id", "old_stage", "new_stage"))))
    return lines


def planned(
    plan: CreatePlan | StagePlan, candidates: Sequence[Candidate], marks: Sequence[bool], org: Org, seen: Seen
) -> list[Line]:
    """What the plan itself decides; rows that may not go through Bulk API 2.0 are left out."""
    asked = [candidate for candidate, mark in zip(candidates, marks, strict=True) if not mark]
    lines = map(shown, plan.look_up(asked, LeadLookup(send=org.send, conn_id="sf", lead=describe()), seen))
    return [("left to the row code",) if mark else next(lines) for mark in marks]


def taken(
    plan: CreatePlan | StagePlan, rows: Sequence[dict[str, Any]], seen: Seen
) -> tuple[list[Candidate], list[bool]]:
    """The rows that are looked up, and which of them hold a literal #N/A."""
    candidates = list(taken_in(plan, seen, rows, lambda _settled: None))
    return candidates, ["#N/A" in candidate.record.values() for candidate in candidates]


@settings(max_examples=150, deadline=None)
@given(st.data(), SOURCES)
def test_leads_are_created_or_updated_as_the_plan_does(data: st.DataObject, read: ReadLeads) -> None:
    """By text and by number, live or dry, blank cells kept or cleared."""
    seen = Seen()
    numbers = data.draw(st.booleans())
    own = "Number_Id__c" if numbers else "External_Id__c"
    request = create_request(
        external_id_field=own,
        existing="update" if data.draw(st.booleans()) else "skip",
        dry_run=True,
        field_map=FieldMap(
            columns={column: name for column, name in COLUMNS.items() if name != own},
            nulls=data.draw(st.sampled_from(["ignore", "clear"])),
        ),
    )
    lead = describe(LastName={"nillable": True}, Company={"nillable": data.draw(st.booleans())})
    plan = prepare(request, ground(("id", *COLUMNS), lead))
    keys = data.draw(st.lists(NUMBER_KEYS if numbers else KEYS, max_size=7))
    rows = [{"id": key, **data.draw(ROWS)} for key in keys]
    org = org_of(data.draw(st.lists(LEADS, max_size=9)))
    candidates, marks = taken(plan, rows, seen)
    assert decided(plan, candidates, marks, org, read) == planned(plan, candidates, marks, org, seen)


@settings(max_examples=150, deadline=None)
@given(st.data(), SOURCES)
def test_leads_are_moved_as_the_plan_does(data: st.DataObject, read: ReadLeads) -> None:
    """By id, by key, or by either; with a ladder and without."""
    seen = Seen()
    columns = {"name": "LastName", "firm": "Company"}
    external, lead_column = data.draw(
        st.sampled_from([("External_Id__c", "lead"), ("External_Id__c", None), (None, "lead"), ("Number_Id__c", None)])
    )
    request = stage_request(
        external_id_field=external,
        lead_id=lead_column,
        field_map=FieldMap(columns=columns),
        rule=StageRule(stage="MQL", ladder=data.draw(st.sampled_from([LADDER, None]))),
    )
    plan = prepare(request, ground(("id", "lead", *columns), describe(Company={"nillable": True})))
    keys = data.draw(st.lists(NUMBER_KEYS if external == "Number_Id__c" else KEYS, max_size=7))
    rows = [{"id": key, **data.draw(ROWS)} for key in keys]
    org = org_of(data.draw(st.lists(LEADS, max_size=9)))
    candidates, marks = taken(plan, rows, seen)
    assert decided(plan, candidates, marks, org, read) == planned(plan, candidates, marks, org, seen)


@pytest.mark.parametrize("moves", [True, False])
def test_a_look_up_that_breaks_off_leaves_no_job_behind(tmp_path: Path, moves: bool) -> None:  # noqa: FBT001
    """As soon as it does, and not when somebody sweeps up what the error holds on to."""
    org = AskedOrg(org_of([]))
    org.org.add(External_Id__c="k1", Lead_Stage__c="New")
    for lead in org.org.leads.values():
        lead["Id"] = "none"
    if moves:
        request = stage_request(
            external_id_field="External_Id__c",
            lead_id=None,
            field_map=FieldMap(columns={}),
            rule=StageRule(stage="MQL", ladder=LADDER),
        )
        plan: CreatePlan | StagePlan = prepare(request, ground(("id",), describe()))
    else:
        plan = prepare(create_request(existing="update"), ground(("id", *COLUMNS), describe()))
    candidates, marks = taken(plan, [{"id": "k1", **dict.fromkeys(COLUMNS), "name": "Poe", "firm": "Acme"}], Seen())
    rows = staged(candidates, tuple(info.name for info in plan.recipe.fields), apart=marks)
    with pytest.raises(ServiceUnavailableError, match="an id that is none") as caught:
        decide(plan, rows, org.reading(tmp_path), Known(), read=by_job)
    assert caught.value.__traceback__
    assert org.paths()[-1] == "DELETE jobs/query/JOB"
    assert not list(tmp_path.iterdir())
