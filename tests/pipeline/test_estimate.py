"""The arithmetic of the estimate: what it says of any dry run, the live run of the same rows then takes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.core.mapping import FieldMap
from airflow_provider_sfleads.core.outcome import Action, Outcome, Reason
from airflow_provider_sfleads.core.report import Tally
from airflow_provider_sfleads.pipeline.create_plan import CreatePlan
from airflow_provider_sfleads.pipeline.preview import Found, Plan, counts_look_ups, estimate, look_up_calls, rows_by_way
from airflow_provider_sfleads.pipeline.stage_plan import StagePlan
from airflow_provider_sfleads.salesforce.error_codes import NO_SINGLE_LEAD
from airflow_provider_sfleads.salesforce.paging import cut
from tests.pipeline.org import Org, lead_id
from tests.pipeline.runs import carry_out, create_plan, new_row, scored, stage_plan

GROUP = 5
STAGES = (None, "New", "MQL", "Won")
CREATES: list[dict[str, Any]] = [
    {},
    {"existing": "update"},
    {"existing": "update", "auto_assign": "FALSE"},
    {"external_id_field": None},
]


def planned(made: tuple[Any, Any]) -> tuple[Any, Any]:
    """A plan that looks up few rows together, so that few rows make many groups."""
    plan, seen = made
    plan.group_size = min(plan.group_size, GROUP)
    return plan, seen


def tally_of(outcomes: list[Outcome]) -> Tally:
    """The account of outcomes."""
    tally = Tally()
    for outcome in outcomes:
        tally.add(outcome)
    return tally


@settings(deadline=None, max_examples=60)
@given(
    asked=st.sampled_from(CREATES),
    rows=st.lists(st.tuples(st.integers(0, 60), st.sampled_from(["Acme", "Other", None])), max_size=60),
    known=st.sets(st.integers(0, 60)),
    size=st.integers(1, 9),
)
def test_of_creates(asked: dict[str, Any], rows: list[tuple[int, str | None]], known: set[int], size: int) -> None:
    """New leads, those that exist, those that differ, rejects and repetitions, in any order."""
    org = Org()
    for n in sorted(known) if asked.get("external_id_field", "x") else ():
        org.add(External_Id__c=f"K{n}", LastName="Ray", Company="Acme")
    export = [new_row(f"K{n}", firm=firm) for n, firm in rows]
    plan, seen = planned(create_plan(**asked, dry_run=True))
    dry = carry_out(plan, seen, org.send, export, dry_run=True, batch_size=size)
    foretold = estimate(
        plan, Found(look_ups=len(org.calls), rest=tally_of(dry.outcomes)), batch_size=size, concurrency=2
    )
    org.calls.clear()
    plan, seen = planned(create_plan(**asked))
    carry_out(plan, seen, org.send, export, batch_size=size)

    assert (foretold.unsure, foretold.plus) == ((), ())
    assert foretold.api_calls == 1 + len(org.calls)
    assert foretold.steps.get("pages", 0) == org.count("writes")
    assert foretold.api == ("collections" if org.count("writes") else "none")


@settings(deadline=None, max_examples=60)
@given(
    by=st.sampled_from(["id", "key", "both"]),
    rows=st.lists(st.tuples(st.integers(1, 40), st.integers(70, 99)), max_size=60),
    stages=st.lists(st.sampled_from(STAGES), min_size=30, max_size=30),
    size=st.integers(1, 9),
)
def test_of_moves(by: str, rows: list[tuple[int, int]], stages: list[str | None], size: int) -> None:
    """Pages leave group by group, full or not; leads that are gone take a look into the recycle bin."""
    org = Org()
    for n, stage in enumerate(stages, 1):
        org.add(External_Id__c=f"K{n}", LastName="Ray", Company="Acme", Lead_Stage__c=stage)
    org.leads[lead_id(3)]["IsDeleted"] = True
    org.leads[lead_id(4)]["IsConverted"] = True
    every = {"id": 1, "key": 1_000, "both": 2}[by]
    export = [scored(f"K{n}", lead_id(n) if n % every == 0 else None, score) for n, score in rows]
    asked: dict[str, Any] = {"external_id_field": None if by == "id" else "External_Id__c"}
    plan, seen = planned(stage_plan(**asked, dry_run=True))
    dry = carry_out(plan, seen, org.send, export, dry_run=True, batch_size=size)
    looked_up = [outcome for outcome in dry.outcomes if is_looked_up(outcome)]
    groups = [sum(o.action is Action.WOULD_UPDATE for o in group) for group in cut(looked_up, GROUP)]
    found = Found(look_ups=len(org.calls), rest=tally_of(dry.outcomes), groups=groups)
    foretold = estimate(plan, found, batch_size=size, concurrency=2)
    org.calls.clear()
    plan, seen = planned(stage_plan(**asked))
    carry_out(plan, seen, org.send, export, batch_size=size)

    assert foretold.api_calls == 1 + len(org.calls)
    assert foretold.steps.get("pages", 0) == org.count("writes")
    assert bool(foretold.plus) is any(n > 2 * size for n in groups)


def is_looked_up(outcome: Outcome) -> bool:
    """Whether the export alone could not decide about a row."""
    if outcome.action is Action.DUPLICATE_KEY:
        return outcome.salesforce_id is not None
    return outcome.action in (Action.WOULD_UPDATE, Action.UNCHANGED) or outcome.error_code in NO_SINGLE_LEAD


def account(created: int, updated: int, exist: int) -> Tally:
    """The account of a part."""
    tally = Tally()
    for action, n in ((Action.WOULD_CREATE, created), (Action.WOULD_UPDATE, updated)):
        tally.add_many(action, reason=None, error_code=None, was_sent=False, count=n)
    reason = Reason.ALREADY_EXISTS
    tally.add_many(Action.UNCHANGED, reason=reason, error_code=None, was_sent=False, count=exist)
    return tally


COUNT = st.integers(0, 3)


@given(parts=st.lists(st.tuples(COUNT, COUNT, COUNT), max_size=4), asked=st.sampled_from(CREATES), defers=st.booleans())
def test_of_jobs(parts: list[tuple[int, int, int]], asked: dict[str, Any], *, defers: bool) -> None:
    """One for the new leads of a part and one for the known, each with a file of results for each way it can end."""
    plan: Any = create_plan(**asked)[0]
    tallies = [account(new, known, exist) for new, known, exist in parts]
    foretold = estimate(
        plan, Found(look_ups=0, rest=Tally(), parts=tallies), batch_size=200, concurrency=4, defers=defers
    )
    meets = asked == {}
    loads = [(new, exist * meets) for new, _, exist in parts if new + exist * meets]
    loads += [(known, 0) for _, known, _ in parts if known]
    files = sum((well > 0) + (ill > 0) for well, ill in loads)
    is_routed = any(new + exist * meets for new, _, exist in parts) and asked.get("auto_assign") != "FALSE"

    assert foretold.steps.get("jobs", 0) == 3 * len(loads)
    assert foretold.steps.get("polls", 0) == len(loads)
    assert foretold.steps.get("job_results", 0) == files
    assert foretold.steps.get("assignment_rule", 0) == is_routed
    assert foretold.api == ("bulk" if loads else "none")
    assert len(foretold.plus) == (1 + defers if loads else 0)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [({}, False), ({"existing": "update"}, True), ({"external_id_field": None}, True), ({"match_email": True}, True)],
    ids=str,
)
def test_who_looks_up(asked: dict[str, Any], *, expected: bool) -> None:
    """An insert that carries a unique external ID asks nothing: its answer tells."""
    mail = {
        "match_email": True,
        "field_map": FieldMap(columns={"name": "LastName", "firm": "Company", "mail": "Email"}),
    }
    plan: Any = create_plan(("id", "name", "firm", "mail"), **(mail if "match_email" in asked else asked))[0]
    assert isinstance(plan, CreatePlan)
    assert counts_look_ups(plan) is expected


@pytest.mark.parametrize("by", ["id", "key"])
@pytest.mark.parametrize("count", [0, 1, 5, 12])
def test_a_look_up_once_more_takes_what_it_took(by: str, count: int) -> None:
    """The plan itself is asked, so that it is so by construction."""
    org = Org()
    ids = [org.add(External_Id__c=f"K{n}", LastName="Ray", Company="Acme") for n in range(count)]
    export = [scored(f"K{n}", ids[n] if by == "id" else None) for n in range(count)]
    plan, seen = planned(stage_plan(external_id_field=None if by == "id" else "External_Id__c", dry_run=True))
    dry = carry_out(plan, seen, org.send, export, dry_run=True)

    assert isinstance(plan, StagePlan)
    assert look_up_calls(plan, dry.outcomes) == len(org.calls) == -(-count // GROUP)


def test_new_and_known_leads_have_pages_of_their_own() -> None:
    """Whatever the assignment rule; whom an insert only meets is sent, too."""
    both: Plan = planned(create_plan(existing="update"))[0]
    new: Plan = planned(create_plan())[0]

    assert rows_by_way(both, account(3, 4, 5)) == [3, 4]
    assert rows_by_way(new, account(3, 0, 5)) == [8]
