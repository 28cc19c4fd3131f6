from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.support import (
    Record,
    by_external_id,
    creating,
    leads,
    moving,
    no_retry,
    people,
    run,
    wait_for,
    writes,
)
from tests.integration.test_bulk_account import at_request

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

pytestmark = pytest.mark.usefixtures("salesforce_conn")

BY_ID: dict[str, Any] = {"external_id_field": None, "lead_id": "id"}


def with_ids(rows: list[Record], ids: list[str]) -> list[Record]:
    """The rows with a Lead id each."""
    return [{**row, "id": lead_id} for row, lead_id in zip(rows, ids, strict=True)]


def test_10_000_moves_by_lead_id_take_50_updates_5_reads_and_5_other_calls(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """The current stage is read 2,000 ids at a time."""
    ids = emulator.seed_leads(leads(people(10_000)))
    ran = run(moving(with_ids(people(10_000), ids), tmp_path, api="collections", **BY_ID))

    stats = emulator.stats()
    assert ran.counts == {"updated": 10_000}
    assert len(writes(emulator)) == 50
    assert sum(stats["calls"].values()) - stats["token_requests"] <= 60
    assert stats["token_requests"] == 1
    assert {lead["Lead_Stage__c"] for lead in emulator.leads()} == {"MQL"}


def test_10_000_moves_by_external_id_of_36_characters_take_50_updates_40_reads_and_5_other_calls(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """Lists are filled to the limit of a query's URL."""
    rows = [{**row, "key": f"{number:08x}-1111-4222-8333-444444444444"} for number, row in enumerate(people(10_000))]
    emulator.seed_leads(leads(rows))
    ran = run(moving(rows, tmp_path, api="collections"))

    stats = emulator.stats()
    assert ran.counts == {"updated": 10_000}
    assert len(writes(emulator)) == 50
    assert sum(stats["calls"].values()) - stats["token_requests"] <= 95
    assert stats["token_requests"] == 1


@pytest.mark.parametrize("count", [1, 201])
def test_the_last_lead_is_moved(emulator: EmulatorServer, tmp_path: Path, count: int) -> None:
    """A page that is not full is sent like any other."""
    emulator.seed_leads(leads(people(count)))
    ran = run(moving(people(count), tmp_path))

    assert ran.counts == {"updated": count}
    assert by_external_id(emulator)[f"K-{count - 1}"]["Lead_Stage__c"] == "MQL"
    assert (ran.rows[-1]["old_stage"], ran.rows[-1]["new_stage"]) == (None, "MQL")


@pytest.mark.parametrize(
    ("stage", "with_ladder", "without"),
    [
        (None, "updated", "updated"),
        ("Lead", "updated", "updated"),
        ("MQL", "already_at_stage", "already_at_stage"),
        ("SAL", "beyond_stage", "updated"),
        ("SQL", "beyond_stage", "updated"),
        ("Nurture", "stage_not_on_ladder", "updated"),
    ],
)
@pytest.mark.parametrize("by", ["id", "key"])
def test_a_lead_never_steps_back_on_the_ladder(
    emulator: EmulatorServer, tmp_path: Path, by: str, stage: str | None, with_ladder: str, without: str
) -> None:
    """A lead that is left alone gets none of the further fields; without a ladder only its own stage holds it."""
    ids = emulator.seed_leads(leads(people(1), Lead_Stage__c=stage))
    rows = with_ids(people(1, score=80), ids)
    how: dict[str, Any] = (BY_ID if by == "id" else {}) | {"fields": {"score": "Lead_Score__c"}}
    history = emulator.history()
    ran = run(moving(rows, tmp_path, **how))
    if with_ladder != "updated":
        assert emulator.history() == history
    unprotected = run(moving(rows, tmp_path, ladder=None, **how)) if with_ladder != "updated" else ran

    assert with_ladder in (ran.rows[0]["action"], ran.rows[0]["reason"])
    assert without in (unprotected.rows[0]["action"], unprotected.rows[0]["reason"])
    assert ran.rows[0]["old_stage"] == stage


def test_scores_and_stages_of_the_export_filter_rows(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Only a score greater than the threshold counts; blank text is no stage and no score."""
    cells = [
        (70, None, "below_threshold"),
        (70.01, None, "updated"),
        ("70,5", None, "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        ("71", " ", "updated"),
        (" 71.5 ", "Lead", "updated"),
        (None, None, "no_score"),
        (float("nan"), None, "no_score"),
        ("", None, "no_score"),
        ("high", None, "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (True, None, "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (99, "SAL", "stage_not_eligible"),
        (99, "mql", "stage_not_eligible"),
    ]
    rows = people(len(cells))
    emulator.seed_leads(leads(rows))
    for row, (score, stage, _) in zip(rows, cells, strict=True):
        row.update(score=score, stage=stage)
    ran = run(
        moving(
            rows,
            tmp_path,
            score="score",
            threshold="70",
            current_stage="stage",
            from_stages=[None, "Lead"],
            max_rejects=3,
        )
    )

    found = ran.by_key
    for row, (*_, expected) in zip(rows, cells, strict=True):
        line = found[row["key"]]
        assert expected in (line["action"], line["reason"], line["error_code"]), row
    assert ran.error is None


def test_leads_that_cannot_be_moved_are_told_apart(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Converted: left alone. Deleted, missing, malformed, of another object, empty: rejected, and none is created."""
    ids = emulator.seed_leads(leads(people(4)))
    contact = emulator.convert_lead(ids[1])
    emulator.delete_lead(ids[2])
    missing = emulator.seed_leads(leads(people(1, start=99)))[0]
    emulator.delete_lead(missing)
    cells: list[Any] = [
        ids[0][:15],
        ids[1],
        ids[2],
        ids[3].lower(),
        "00Q000000000000EAA",
        "nonsense",
        contact,
        " ",
        None,
    ]
    rows = [{**row, "id": cell} for row, cell in zip(people(len(cells)), cells, strict=True)]
    ran = run(moving(rows, tmp_path, max_rejects=9, **BY_ID))

    found = ran.by_key
    assert [found[f"K-{n}"]["action"] for n in (0, 3)] == ["updated", "updated"]
    assert found["K-0"]["salesforce_id"] == ids[0]
    assert (found["K-1"]["reason"], found["K-1"]["contact_id"]) == ("converted", contact)
    codes = [found[f"K-{n}"]["error_code"] for n in (2, 4, 5, 6, 7, 8)]
    assert codes == [
        "ENTITY_IS_DELETED",
        "INVALID_CROSS_REFERENCE_KEY",
        "MALFORMED_ID",
        "MALFORMED_ID",
        "MISSING_ARGUMENT",
        "MISSING_ARGUMENT",
    ]
    assert emulator.stats()["leads"] == 3


def test_a_key_that_no_lead_has_is_rejected_and_two_leads_for_one_key_are_too(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """An update never creates, and never guesses."""
    emulator.seed_leads([{"LastName": "A", "Company": "X", "Legacy_Id__c": "twice"}] * 2)
    rows = [{"key": "none"}, {"key": "twice"}]
    ran = run(moving(rows, tmp_path, external_id_field="Legacy_Id__c", max_rejects=2))

    assert {row["key"]: row["error_code"] for row in ran.rejects} == {
        "none": "NOT_FOUND",
        "twice": "DUPLICATE_EXTERNAL_ID",
    }
    assert writes(emulator) == []


def test_the_id_finds_the_lead_first_and_the_external_id_where_there_is_none(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """Two rows that mean one lead are one row too many."""
    ids = emulator.seed_leads(leads(people(3)))
    rows: list[Record] = [
        {"key": "other name", "id": ids[0]},
        {"key": "K-1", "id": None},
        {"key": "K-0", "id": None},
        {"key": "K-2", "id": ids[1][:15]},
    ]
    ran = run(moving(rows, tmp_path, lead_id="id"))

    assert ran.counts == {"updated": 2, "duplicate_keys": 2}
    assert [lead["Lead_Stage__c"] for lead in emulator.leads()] == ["MQL", "MQL", None]


@pytest.mark.parametrize(("assignment_rule", "assigned"), [("default", True), (None, False)])
def test_a_lead_that_is_moved_runs_through_the_assignment_rule(
    emulator: EmulatorServer, tmp_path: Path, assignment_rule: str | None, *, assigned: bool
) -> None:
    """A lead that is left where it is keeps its owner in any case."""
    emulator.seed_leads(leads(people(1)) + leads(people(1, start=1), Lead_Stage__c="SQL"))
    before = {key: lead["OwnerId"] for key, lead in by_external_id(emulator).items()}
    run(moving(people(2), tmp_path, assignment_rule=assignment_rule))

    after = by_external_id(emulator)
    assert (after["K-0"]["OwnerId"] != before["K-0"]) is assigned
    assert after["K-1"]["OwnerId"] == before["K-1"]


def test_further_fields_and_constants_are_written_along_with_the_stage(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """One write for all of it."""
    emulator.seed_leads(leads(people(1)))
    ran = run(
        moving(
            people(1, score="81.5"),
            tmp_path,
            fields={"score": "Lead_Score__c"},
            constants={"Qualified_On__c": "2026-11-20"},
        )
    )

    (lead,) = emulator.leads()
    assert ran.counts == {"updated": 1}
    assert (lead["Lead_Stage__c"], lead["Lead_Score__c"], lead["Qualified_On__c"]) == ("MQL", 81.5, "2026-11-20")


def test_a_second_run_changes_nothing(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Leads at the stage are left alone, further fields included."""
    emulator.seed_leads(leads(people(300)))
    run(moving(people(300), tmp_path))
    history = emulator.history()
    ran = run(moving(people(300), tmp_path))

    assert ran.full["unchanged_reasons"] == {"already_at_stage": 300}
    assert emulator.history() == history


def test_a_lead_converted_between_look_and_write_is_left_alone(emulator: EmulatorServer, tmp_path: Path) -> None:
    """What Sales did a moment ago is no reject."""
    ids = emulator.seed_leads(leads(people(2)))
    emulator.seed_leads(leads(people(2_100, start=2), Lead_Stage__c="SQL"))
    at_request(emulator, "PATCH", "/composite/sobjects", 1, lambda: emulator.convert_lead(ids[0]))
    ran = run(moving(people(2_102), tmp_path, api="collections"))

    assert ran.by_key["K-0"]["reason"] == "converted"
    assert ran.by_key["K-1"]["action"] == "updated"


def test_a_lead_that_sales_moves_on_while_the_export_is_looked_up_is_not_pulled_back(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """A page goes out right after its look-up and does not wait for rows that are looked up later."""
    (lead_id,) = emulator.seed_leads(leads(people(1)))
    emulator.seed_leads(leads(people(4_100, start=1), Lead_Stage__c="SQL"))
    sent: list[bool] = []

    def move_on() -> None:
        sent.append(len(writes(emulator)) == 1)
        emulator.edit_lead(lead_id, Lead_Stage__c="SQL")

    # By key, 2,000 rows take several questions; those of the third group come after the first page.
    at_request(emulator, "GET", "External_Id__c.*K-4000", 1, move_on)
    ran = run(moving(people(4_101), tmp_path, api="collections", concurrency=1))

    assert sent == [True]
    assert ran.counts == {"updated": 1, "unchanged": 4_100}
    assert emulator.lead(lead_id)["Lead_Stage__c"] == "SQL"


def test_a_lead_that_sales_moves_on_while_it_is_locked_is_not_pulled_back(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """A lock means that somebody else is writing this very lead: its stage is read again before it is sent again."""
    (lead_id,) = emulator.seed_leads(leads(people(1)))
    emulator.add_fault("lock", key=lead_id, count=1)

    def move_on() -> None:
        assert wait_for(lambda: emulator.faults()[0]["hits"])
        emulator.edit_lead(lead_id, Lead_Stage__c="SQL")

    sales = threading.Thread(target=move_on)
    sales.start()
    run(moving(people(1), tmp_path))
    sales.join()

    assert emulator.lead(lead_id)["Lead_Stage__c"] == "SQL"


def test_a_stage_that_is_not_on_the_ladder_is_refused(tmp_path: Path) -> None:
    """Nothing is sent under a rule that cannot be right."""
    ran = run(moving(people(1), tmp_path, stage="Customer"))

    assert no_retry(ran.error)
    assert "'Customer'" in str(ran.error)


def test_a_number_that_no_machine_can_hold_is_one_reject(emulator: EmulatorServer, tmp_path: Path) -> None:
    """A silly value never takes its neighbours down."""
    rows = people(3, staff="12")
    rows[1]["staff"] = "1e5000"
    fields = {"last": "LastName", "company": "Company", "staff": "NumberOfEmployees"}
    ran = run(creating(rows, tmp_path, fields=fields, max_rejects=1))

    assert ran.counts == {"created": 2, "rejected": 1}
    assert emulator.stats()["leads"] == 2


WAIT: dict[str, Any] = {"status": 429, "headers": {"Retry-After": "1"}}


@pytest.mark.parametrize(
    ("effect", "more"),
    [
        ("status", {**WAIT, "status": 503}),
        ("status", WAIT),
        ("drop_before", {}),
        ("drop_after", {}),
        ("html_503", {}),
        ("truncate", {}),
    ],
    ids=["503", "429", "drop_before", "drop_after", "html_503", "truncate"],
)
def test_a_lead_that_sales_moves_on_while_its_page_waits_to_be_repeated_is_not_pulled_back(
    emulator: EmulatorServer, tmp_path: Path, effect: str, more: dict[str, Any]
) -> None:
    """Salesforce may ask for a minute's wait: the stage read before it says nothing of the lead after it."""
    (lead_id,) = emulator.seed_leads(leads(people(1)))
    emulator.add_fault(effect, method="PATCH", path="/composite/sobjects", times=1, **more)
    emulator.add_fault("status", method="PATCH", path="/composite/sobjects", times=1, **WAIT)

    def move_on() -> None:
        assert wait_for(lambda: writes(emulator))
        emulator.edit_lead(lead_id, Lead_Stage__c="SQL")

    sales = threading.Thread(target=move_on)
    sales.start()
    run(moving(people(1), tmp_path))
    sales.join()

    assert emulator.lead(lead_id)["Lead_Stage__c"] == "SQL"


@pytest.mark.parametrize(
    ("key", "action"),
    [
        ("1000", "updated"),
        (1000, "updated"),
        ("1e3", "updated"),
        ("1000.0", "updated"),
        ("+01000", "updated"),
        ("1_000", "rejected"),
        ("1,000", "rejected"),
        ("NaN", "rejected"),
    ],
    ids=["plain", "number", "exponent", "fraction", "sign", "underscore", "comma", "NaN"],
)
def test_a_number_as_key_is_found_however_it_is_spelled(
    emulator: EmulatorServer, tmp_path: Path, key: object, action: str
) -> None:
    """What Salesforce would not take for a number is a reject, and breaks no query."""
    emulator.seed_leads([{"LastName": "A", "Company": "X", "Number_Key__c": 1000}])
    ran = run(moving([{"key": key}], tmp_path, external_id_field="Number_Key__c", max_rejects=1))

    assert (ran.error, ran.rows[0]["action"]) == (None, action)
