"""Parameters that the other files leave out, above all of the stage operator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.emulator.ids import ACTIVE_RULE_ID, INACTIVE_RULE_ID, QUEUE_ID, SECOND_QUEUE_ID
from airflow_provider_sfleads.exceptions import ParameterError
from airflow_provider_sfleads.operators.leads import SalesforceCreateLeadsOperator, SalesforceUpdateLeadStageOperator
from tests.integration.support import FIELDS, Record, Rows, creating, leads, moving, no_retry, people, run, writes

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

pytestmark = pytest.mark.usefixtures("salesforce_conn")


@pytest.mark.parametrize(("nulls", "city"), [("ignore", "Paris"), ("clear", None)])
def test_a_move_clears_further_fields_or_leaves_them(
    emulator: EmulatorServer, tmp_path: Path, nulls: str, city: str | None
) -> None:
    """Null, blank, NaN and NaT are all nothing."""
    (lead_id,) = emulator.seed_leads(leads(people(1), City="Paris", Lead_Score__c=5, Phone="1"))
    rows = people(1, city="\t ", score=float("nan"), phone=None)
    fields = {"city": "City", "score": "Lead_Score__c", "phone": "Phone"}
    ran = run(moving(rows, tmp_path, fields=fields, nulls=nulls))

    lead = emulator.lead(lead_id)
    assert ran.counts == {"updated": 1}
    assert (lead["City"], lead["Lead_Score__c"], lead["Phone"]) == ((city,) * 3 if city is None else (city, 5, "1"))
    assert lead["Lead_Stage__c"] == "MQL"


@pytest.mark.parametrize("make", ["create", "move"])
def test_clearing_a_field_that_takes_no_blank_is_one_reject(
    emulator: EmulatorServer, tmp_path: Path, make: str
) -> None:
    """A lead always has a name; the row costs no call, and the next one goes through."""
    emulator.seed_leads(leads(people(2)))
    rows = people(2)
    rows[0]["last"] = ""
    how: dict[str, Any] = {"nulls": "clear", "max_rejects": 1}
    if make == "create":
        ran = run(creating(rows, tmp_path, existing="update", **how))
    else:
        ran = run(moving(rows, tmp_path, fields={"last": "LastName"}, **how))

    assert ran.full["rejected"] == 1
    assert ran.by_key["K-0"]["error_code"] in ("REQUIRED_FIELD_MISSING", "INVALID_FIELD_FOR_INSERT_UPDATE")
    assert ran.by_key["K-1"]["action"] in ("updated", "unchanged")
    assert {lead["LastName"] for lead in emulator.leads()} == {"Last 0", "Last 1"}


@pytest.mark.parametrize(("truncate", "counts"), [(False, {"rejected": 1}), (True, {"updated": 1})])
def test_a_move_cuts_long_text_only_where_it_is_asked_to(
    emulator: EmulatorServer, tmp_path: Path, counts: dict[str, int], *, truncate: bool
) -> None:
    """A lead of a rejected row is not moved either."""
    emulator.seed_leads(leads(people(1)))
    ran = run(moving(people(1, city="é" * 41), tmp_path, fields={"city": "City"}, truncate=truncate, max_rejects=1))

    (lead,) = emulator.leads()
    assert ran.counts == counts
    assert (lead["City"], lead["Lead_Stage__c"]) == (("é" * 40, "MQL") if truncate else (None, None))


def test_truncate_cuts_neither_keys_nor_addresses(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Half a key is another lead's, half an address nobody's."""
    rows = [{**row, "mail": None} for row in people(3)]
    rows[0]["key"] = "k" * 65
    rows[1]["mail"] = f"{'a' * 70}@example.com"
    ran = run(creating(rows, tmp_path, fields={**FIELDS, "mail": "Email"}, truncate=True, max_rejects=2))

    assert ran.counts == {"created": 1, "rejected": 2}
    assert ran.full["reject_reasons"] == {"STRING_TOO_LONG": 2}
    assert emulator.stats()["leads"] == 1


@pytest.mark.parametrize(
    ("rule", "duplicates", "action"),
    [("alert", "reject", "rejected"), ("alert", "allow", "updated"), ("block", "allow", "rejected")],
)
def test_duplicate_rules_count_for_moves_too(
    emulator: EmulatorServer, tmp_path: Path, rule: str, duplicates: str, action: str
) -> None:
    """An update that makes a lead look like another one meets them."""
    emulator.seed_leads([*leads(people(1)), {"LastName": "Twin", "Company": "Acme"}])
    emulator.change_settings(duplicate_rule=rule)
    ran = run(moving(people(1, new="Twin"), tmp_path, fields={"new": "LastName"}, duplicates=duplicates, max_rejects=1))

    assert ran.rows[0]["action"] == action


@pytest.mark.parametrize(
    ("rule", "owner"),
    [
        ("default", QUEUE_ID),
        (None, None),
        (ACTIVE_RULE_ID, QUEUE_ID),
        (ACTIVE_RULE_ID[:15], QUEUE_ID),
        (INACTIVE_RULE_ID, SECOND_QUEUE_ID),
    ],
    ids=["default", "None", "active", "15 characters", "inactive"],
)
@pytest.mark.parametrize("make", ["create", "move", "upsert"])
def test_a_rule_of_one_s_own_hands_the_lead_to_its_queue(
    emulator: EmulatorServer, tmp_path: Path, make: str, rule: str | None, owner: str | None
) -> None:
    """Created or moved; by its id a rule runs also where it is not the active one."""
    if make == "move":
        emulator.seed_leads(leads(people(1)))
        ran = run(moving(people(1), tmp_path, assignment_rule=rule))
    else:
        existing = "update" if make == "upsert" else "skip"
        ran = run(creating(people(1), tmp_path, assignment_rule=rule, existing=existing))

    (lead,) = emulator.leads()
    assert ran.error is None
    assert lead["OwnerId"] == owner or (owner is None and lead["OwnerId"].startswith("005"))


@pytest.mark.parametrize("rule", ["default", ACTIVE_RULE_ID])
def test_an_update_by_e_mail_or_key_never_reassigns(emulator: EmulatorServer, tmp_path: Path, rule: str) -> None:
    """Whoever has the lead keeps it, whatever the rule."""
    emulator.seed_leads([*leads(people(1)), {"LastName": "M", "Company": "X", "Email": "ada@example.com"}])
    owners = [lead["OwnerId"] for lead in emulator.leads()]
    rows = [
        {**row, "mail": mail} for row, mail in zip(people(2, company="New"), (None, "ada@example.com"), strict=True)
    ]
    how: dict[str, Any] = {"fields": {**FIELDS, "mail": "Email"}, "match_email": True, "existing": "update"}
    ran = run(creating(rows, tmp_path, assignment_rule=rule, **how))

    assert ran.counts == {"updated": 2}
    assert [lead["OwnerId"] for lead in emulator.leads()] == owners
    assert {lead["Company"] for lead in emulator.leads()} == {"New"}


@pytest.mark.parametrize(
    ("from_stages", "moved"),
    [
        ([None], {"K-0", "K-1"}),
        (["Lead"], {"K-2"}),
        ([None, "Lead"], {"K-0", "K-1", "K-2"}),
        ("[None, 'Lead']", {"K-0", "K-1", "K-2"}),
        ([""], {"K-0", "K-1"}),
        ([" Lead "], {"K-2"}),
        ([], set()),
    ],
    ids=["blank", "Lead", "both", "rendered", "empty text", "padded", "none at all"],
)
def test_rows_of_other_stages_are_filtered(
    emulator: EmulatorServer, tmp_path: Path, from_stages: object, moved: set[str]
) -> None:
    """None among them stands for rows without a stage."""
    emulator.seed_leads(leads(people(4)))
    rows = [{**row, "now": stage} for row, stage in zip(people(4), (None, "  ", "Lead", "SAL"), strict=True)]
    ran = run(moving(rows, tmp_path, current_stage="now", from_stages=from_stages))

    assert {row["key"] for row in ran.rows if row["action"] == "updated"} == moved
    assert {row["reason"] for row in ran.rows if row["action"] == "filtered"} <= {"stage_not_eligible"}


def test_an_update_of_the_same_values_costs_no_write(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Nor does one that would only fill in nothing."""
    emulator.seed_leads(leads(people(300)))
    rows = people(300, city=None)
    ran = run(creating(rows, tmp_path, fields={**FIELDS, "city": "City"}, existing="update"))

    assert ran.full["unchanged_reasons"] == {"same_values": 300}
    assert writes(emulator) == []


def test_constants_that_cannot_be_are_refused_and_those_that_can_are_converted(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """A constant is checked once, before anything is sent."""
    bad = run(creating(people(1), tmp_path, constants={"Lead_Score__c": "many", "Email": "x", "City": "y" * 41}))
    good = run(
        creating(
            people(1),
            tmp_path,
            constants={"Lead_Score__c": "7.5", "Qualified_On__c": "2026-11-20", "Is_Trial__c": "true", "City": ""},
        )
    )

    assert no_retry(bad.error)
    for name in ("Lead_Score__c", "Email", "City"):
        assert name in str(bad.error)
    (lead,) = emulator.leads()
    assert good.error is None
    assert (lead["Lead_Score__c"], lead["Qualified_On__c"], lead["Is_Trial__c"]) == (7.5, "2026-11-20", True)


@pytest.mark.parametrize("lacking", ["export", "key", "results_path", "fields"])
def test_a_parameter_that_is_missing_is_noticed_where_the_dag_is_read(tmp_path: Path, lacking: str) -> None:
    """Not at 3 a.m."""
    given: Record = {"export": Rows(people(1)), "key": "key", "results_path": str(tmp_path), "fields": FIELDS}
    with pytest.raises(ParameterError, match=lacking):
        SalesforceCreateLeadsOperator(task_id="create", **{**given, lacking: ""})


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, "lead_id"),
        ({"lead_id": "id", "score": "score"}, "threshold"),
        ({"lead_id": "id", "threshold": 1}, "score"),
        ({"lead_id": "id", "from_stages": ["Lead"]}, "current_stage"),
    ],
)
def test_parameters_that_go_together_are_asked_for_together(tmp_path: Path, given: dict[str, Any], named: str) -> None:
    """Half a filter would filter nothing."""
    common: Record = {"task_id": "move", "export": Rows(people(1)), "key": "key", "results_path": str(tmp_path)}
    with pytest.raises(ParameterError, match=named):
        SalesforceUpdateLeadStageOperator(**common, **given)


def test_bulk_is_refused_together_with_duplicates_allowed(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Bulk API 2.0 has no header for it, and rather than another thing being done, nothing is."""
    ran = run(creating(people(1), tmp_path, api="bulk", duplicates="allow"))

    assert no_retry(ran.error)
    assert "duplicates='allow'" in str(ran.error)
    assert emulator.stats()["leads"] == 0


@pytest.mark.parametrize("batch_size", [1, 7, 200])
@pytest.mark.parametrize("concurrency", [1, 8])
def test_batches_are_as_large_and_as_many_at_a_time_as_asked(
    emulator: EmulatorServer, tmp_path: Path, batch_size: int, concurrency: int
) -> None:
    """Never more."""
    emulator.change_settings(latency_ms=5.0)
    count = batch_size * 10 + 1
    ran = run(creating(people(count), tmp_path, api="collections", batch_size=batch_size, concurrency=concurrency))

    sizes = [request["records"] for request in writes(emulator)]
    assert ran.counts == {"created": count}
    assert (max(sizes), len(sizes)) == (batch_size, 11)
    assert 1 <= emulator.stats()["peak_concurrency"] <= concurrency
