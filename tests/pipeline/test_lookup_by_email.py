# ruff: noqa: TID253 - a test is no Dag file
"""What is not looked up in columns: leads found by e-mail, and leads that nobody looks up."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from airflow_provider_sfleads.core.mapping import FieldMap
from airflow_provider_sfleads.core.outcome import Action
from airflow_provider_sfleads.pipeline.create_plan import CreatePlan
from airflow_provider_sfleads.pipeline.lookup_decide import APART, OUTCOME, REFUSED, SETTLED, decide
from airflow_provider_sfleads.pipeline.plan import Candidate
from airflow_provider_sfleads.pipeline.prepare import prepare
from airflow_provider_sfleads.pipeline.stage_plan import StagePlan
from airflow_provider_sfleads.salesforce.query_job import Stopped
from tests.pipeline.asking import AskedOrg, Known, staged
from tests.pipeline.org import Org
from tests.pipeline.runs import create_request, ground, scored, stage_request

FIELDS = FieldMap(columns={"name": "LastName", "firm": "Company", "mail": "Email"})
COLUMNS = ("id", "name", "firm", "mail")


def plan_of(**changes: object) -> CreatePlan | StagePlan:
    """A plan to create leads."""
    return prepare(create_request(**{"field_map": FIELDS} | changes), ground(COLUMNS))


def candidates_of(plan: CreatePlan | StagePlan, *mails: str | None) -> list[Candidate]:
    """A row for each e-mail address."""
    rows = [{"id": f"k{place}", "name": "Ray", "firm": "Acme", "mail": mail} for place, mail in enumerate(mails)]
    return [one for one in map(plan.take, rows) if isinstance(one, Candidate)]


def test_leads_are_found_by_email(tmp_path: Path) -> None:
    """New ones, known ones to update, refusals apart with the row, and the second of two with one address for later."""
    org = Org()
    known = org.add(LastName="Old", Company="Acme", Email="known@b.org")
    for _ in range(2):
        org.add(LastName="Old", Company="Acme", Email="twice@b.org")
    plan = plan_of(match_email=True, existing="update")
    rows = candidates_of(plan, "new@b.org", "known@b.org", "twice@b.org", "NEW@b.org", None, None)
    part = staged(rows, [info.name for info in plan.recipe.fields], apart=[*[False] * 5, True], size=6)
    decisions = decide(plan, part, AskedOrg(org).reading(tmp_path), Known())
    assert decisions.classes.tolist() == [0, 2, REFUSED, APART, 0, APART]
    assert [way.expected for way in decisions.ways] == [Action.CREATED, Action.UPDATED, Action.UPDATED]
    assert [way.kind.operation for way in decisions.ways] == ["upsert", "upsert", "update"]
    assert decisions.columns(1, 1).column("salesforce_id").to_pylist() == [known]
    refused = decisions.refused[2]
    assert (refused.outcome.error_code, refused.row["id"]) == ("DUPLICATES_DETECTED", "k2")


def test_a_stage_by_email(tmp_path: Path) -> None:
    """A lead of no other key is moved; one at the stage is left alone."""
    org = Org()
    lead = org.add(LastName="Ray", Company="Acme", Email="a@b.org", Lead_Stage__c="New")
    there = org.add(LastName="Poe", Company="Acme", Email="c@b.org", Lead_Stage__c="MQL")
    request = stage_request(
        external_id_field="External_Id__c",
        lead_id=None,
        match_email=True,
        field_map=FieldMap(columns={"mail": "Email"}),
    )
    plan = prepare(request, ground(("id", "score", "mail")))
    rows = [plan.take(scored("k1", mail="a@b.org")), plan.take(scored("k2", mail="c@b.org"))]
    part = staged([one for one in rows if isinstance(one, Candidate)], [info.name for info in plan.recipe.fields])
    decisions = decide(plan, part, AskedOrg(org).reading(tmp_path), Known())
    assert decisions.classes.tolist() == [0, SETTLED]
    assert decisions.columns(0, 2).to_pylist() == [
        {"action": None, "reason": None, "salesforce_id": lead, "contact_id": None, "old_stage": "New",
         "new_stage": "MQL"},
        {"action": "unchanged", "reason": "already_at_stage", "salesforce_id": there, "contact_id": None,
         "old_stage": "MQL", "new_stage": None},
    ]  # fmt: skip


def test_a_run_that_is_to_end(tmp_path: Path) -> None:
    """Nobody is looked up any more."""
    org, plan = AskedOrg(Org()), plan_of(match_email=True)
    part = staged(candidates_of(plan, "a@b.org"), [info.name for info in plan.recipe.fields])
    with pytest.raises(Stopped):
        decide(plan, part, org.reading(tmp_path, stopped=lambda: True), Known())
    assert org.calls == []


def test_an_insert_asks_nobody(tmp_path: Path) -> None:
    """Salesforce's own uniqueness check says who exists."""
    org, plan = AskedOrg(Org()), plan_of()
    rows = candidates_of(plan, *[None] * 5)
    part = staged(rows, [info.name for info in plan.recipe.fields], apart=[False, True, False, False, False])
    decisions = decide(plan, part, org.reading(tmp_path), Known())
    assert org.calls == []
    assert decisions.classes.tolist() == [0, APART, 0, 0, 0]
    assert decisions.columns(3, 2) == pa.RecordBatch.from_arrays([pa.nulls(2, pa.string())] * 6, schema=OUTCOME)


@pytest.mark.parametrize("changes", [{}, {"match_email": True}, {"existing": "update"}])
def test_a_part_without_rows(tmp_path: Path, changes: dict[str, object]) -> None:
    """Nothing is asked, and nothing decided."""
    org, plan = AskedOrg(Org()), plan_of(**changes)
    decisions = decide(plan, staged([], ["LastName"]), org.reading(tmp_path), Known())
    assert (len(decisions.classes), decisions.found.num_rows, org.calls) == (0, 0, [])
