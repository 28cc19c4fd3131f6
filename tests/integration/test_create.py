from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_sfleads.emulator.ids import ACTIVE_RULE_ID
from tests.integration.support import FIELDS, Rows, Task, by_external_id, creating, leads, no_retry, people, run, writes

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

pytestmark = pytest.mark.usefixtures("salesforce_conn")


def test_10_000_new_leads_take_at_most_50_creates_5_other_calls_and_one_token(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """Filled batches, and no look-up where Salesforce's own uniqueness check tells."""
    ran = run(creating(people(10_000), tmp_path, api="collections"))

    stats = emulator.stats()
    assert ran.counts == {"created": 10_000}
    assert len(writes(emulator)) == 50
    assert sum(stats["calls"].values()) - stats["token_requests"] <= 55
    assert (stats["tokens_minted"], stats["token_requests"]) == (1, 1)
    assert (ran.full["api_calls"], ran.full["token_requests"]) == (stats["api_used"], 1)


@pytest.mark.parametrize("count", [1, 200, 201, 10_001])
def test_the_last_record_arrives(emulator: EmulatorServer, tmp_path: Path, count: int) -> None:
    """A page that is not full is sent like any other."""
    ran = run(creating(people(count), tmp_path, api="collections"))

    assert ran.counts == {"created": count}
    assert by_external_id(emulator)[f"K-{count - 1}"]["LastName"] == f"Last {count - 1}"
    assert emulator.stats()["leads"] == count


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("one\ntwo", "one\ntwo"),
        ("one\r\ntwo\rthree", "one\ntwo\nthree"),
        ('say "hi", it\'s \\ fine', 'say "hi", it\'s \\ fine'),
        ("a\u2028b\u2029c\u0085d\x0be", "a\u2028b\u2029c\u0085d\x0be"),
        ("\u0085edge\u2028", "\u0085edge\u2028"),
        ("😀👩‍👩‍👧 株式会社 Ünïcödé עברית", "😀👩‍👩‍👧 株式会社 Ünïcödé עברית"),
        ("e\u0301 is not é", "e\u0301 is not é"),
        ("\u200b\ufeffinvisible\u00a0", "\u200b\ufeffinvisible\u00a0"),
        ("=1+1", "=1+1"),
        ("#N/A", "#N/A"),
        ("null", "null"),
    ],
)
def test_text_arrives_as_it_is_but_for_line_breaks(
    emulator: EmulatorServer, tmp_path: Path, given: str, stored: str
) -> None:
    """CR and CRLF become LF; nothing else changes."""
    ran = run(creating(people(1, text=given), tmp_path, fields={**FIELDS, "text": "Description"}))

    assert ran.counts == {"created": 1}
    assert emulator.leads()[0]["Description"] == stored


@pytest.mark.parametrize("existing", ["skip", "update"])
@pytest.mark.parametrize("second", ["K-0", "k-0", "  K-0\t", "k-0 \n"])
def test_a_key_that_comes_twice_never_loses_both_rows(
    emulator: EmulatorServer, tmp_path: Path, existing: str, second: str
) -> None:
    """The first row is taken; case and blanks do not make another key."""
    rows = [*people(1), *people(1, start=1), {"key": second, "last": "Second", "company": "Acme"}]
    ran = run(creating(rows, tmp_path, existing=existing))

    assert ran.counts == {"created": 2, "duplicate_keys": 1}
    assert by_external_id(emulator)["K-0"]["LastName"] == "Last 0"


def test_keys_that_differ_in_case_are_two_leads_where_the_field_is_case_sensitive(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """Describe decides what makes a key another one."""
    rows = [{**row, "key": key} for row, key in zip(people(2), ("ab", "AB"), strict=True)]
    ran = run(creating(rows, tmp_path, external_id_field="Case_Key__c"))

    assert ran.counts == {"created": 2}
    assert {lead["Case_Key__c"] for lead in emulator.leads()} == {"ab", "AB"}


@pytest.mark.parametrize("existing", ["skip", "update"])
def test_two_spellings_of_one_number_as_key_never_lose_both_rows(
    emulator: EmulatorServer, tmp_path: Path, existing: str
) -> None:
    """For a number field 7, 7.0 and 07 are one external ID, which an upsert must not send twice in a request."""
    rows = [{**row, "key": key} for row, key in zip(people(3), ("7", "7.0", "07"), strict=True)]
    ran = run(creating(rows, tmp_path, external_id_field="Number_Key__c", existing=existing, max_rejects=3))

    assert [lead["Number_Key__c"] for lead in emulator.leads()] == [7.0]
    assert ran.full["rejected"] == 0


@pytest.mark.parametrize("failed_row_ids", ["missing", "null"])
def test_failed_rows_may_carry_id_and_created_or_not(
    emulator: EmulatorServer, tmp_path: Path, failed_row_ids: str
) -> None:
    """Only `success` says whether a record was written."""
    emulator.change_settings(failed_row_ids=failed_row_ids)
    emulator.add_fault("lock", key="Last 3$", count=50)
    emulator.seed_leads([{"LastName": "Other", "Company": "Acme", "Case_Key__c": "taken"}])
    rows = people(2) + people(1, start=2, other="taken") + people(1, start=4)
    for row in rows:
        row.setdefault("other", None)
    ran = run(creating(rows, tmp_path, fields={**FIELDS, "other": "Case_Key__c"}))

    assert ran.counts == {"created": 3, "rejected": 1}
    assert ran.by_key["K-2"]["error_code"] == "DUPLICATE_VALUE"
    assert ran.by_key["K-2"]["salesforce_id"] is None
    assert set(by_external_id(emulator)) == {"None", "K-0", "K-1", "K-4"}


def test_a_second_run_creates_nothing_and_changes_nothing(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Leads that exist are found by Salesforce's own uniqueness check, in whatever case and language."""
    rows = people(450)
    run(creating(rows, tmp_path))
    history = emulator.history()
    emulator.change_settings(language="de", duplicate_value_fields=True)
    ran = run(creating([{**row, "key": row["key"].lower()} for row in rows], tmp_path))

    assert ran.counts == {"unchanged": 450}
    assert ran.full["unchanged_reasons"] == {"already_exists": 450}
    ids = {lead["Id"] for lead in emulator.leads()}
    assert {row["salesforce_id"] for row in ran.rows} == ids
    assert emulator.history() == history


def test_a_converted_lead_is_left_alone_and_a_deleted_one_is_made_anew(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """A converted lead still holds its external ID; one in the recycle bin does not."""
    converted, deleted = emulator.seed_leads(leads(people(2)))
    emulator.convert_lead(converted)
    emulator.delete_lead(deleted)
    history = len(emulator.history(converted))
    ran = run(creating(people(2), tmp_path))

    assert ran.counts == {"unchanged": 1, "created": 1}
    assert ran.by_key["K-0"]["salesforce_id"] == converted
    assert len(emulator.history(converted)) == history


def test_one_bad_row_in_each_batch_costs_that_row_only(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Salesforce's own refusals take nobody else down and are not retried."""
    emulator.change_settings(duplicate_rule="block")
    emulator.seed_leads([{"LastName": "Last 7", "Company": "Acme"}, {"LastName": "Last 250", "Company": "Acme"}])
    ran = run(creating(people(600), tmp_path, max_rejects=2))

    assert ran.error is None
    assert ran.counts == {"created": 598, "rejected": 2}
    assert ran.full["reject_reasons"] == {"DUPLICATES_DETECTED": 2}
    assert {row["key"] for row in ran.rejects} == {"K-7", "K-250"}
    assert len(writes(emulator)) == 3


@pytest.mark.parametrize(
    ("rule", "duplicates", "counts"),
    [
        ("off", "reject", {"created": 2}),
        ("alert", "reject", {"created": 1, "rejected": 1}),
        ("alert", "allow", {"created": 2}),
        ("block", "reject", {"created": 1, "rejected": 1}),
        ("block", "allow", {"created": 1, "rejected": 1}),
    ],
)
def test_duplicates_allow_overrides_rules_that_merely_alert(
    emulator: EmulatorServer, tmp_path: Path, rule: str, duplicates: str, counts: dict[str, int]
) -> None:
    """A blocking rule stands whatever the parameter says."""
    emulator.seed_leads([{"LastName": "Last 0", "Company": "Acme"}])
    emulator.change_settings(duplicate_rule=rule)
    ran = run(creating(people(2), tmp_path, duplicates=duplicates, max_rejects=1))

    assert ran.counts == counts


def test_a_duplicate_rule_in_front_of_a_lead_that_exists_is_not_a_reject(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """Salesforce runs duplicate rules before it looks at the external ID."""
    (lead_id,) = emulator.seed_leads(leads(people(1)))
    emulator.change_settings(duplicate_rule="block")
    ran = run(creating(people(1), tmp_path))

    assert ran.counts == {"unchanged": 1}
    assert ran.rows[0]["salesforce_id"] == lead_id


@pytest.mark.parametrize(
    ("assignment_rule", "assigned"),
    [("default", True), (None, False), pytest.param("None", False, id="rendered"), (ACTIVE_RULE_ID, True)],
)
def test_the_assignment_rule_gives_new_leads_their_owner(
    emulator: EmulatorServer, tmp_path: Path, assignment_rule: str | None, *, assigned: bool
) -> None:
    """By default Sales gets routed the lead; None leaves it to the integration user."""
    run(creating(people(1), tmp_path, assignment_rule=assignment_rule))

    (lead,) = emulator.leads()
    assert (lead["OwnerId"] != lead["CreatedById"]) is assigned


def test_an_update_of_a_lead_that_exists_never_reassigns_it(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Only a lead that is created runs through the rule, even in the same run."""
    (lead_id,) = emulator.seed_leads(leads(people(1)))
    owner = emulator.lead(lead_id)["OwnerId"]
    ran = run(creating(people(2, company="New"), tmp_path, existing="update"))

    found = by_external_id(emulator)
    assert ran.counts == {"updated": 1, "created": 1}
    assert (found["K-0"]["Company"], found["K-0"]["OwnerId"]) == ("New", owner)
    assert found["K-1"]["OwnerId"] != found["K-1"]["CreatedById"]


def test_same_values_are_not_written(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Values count as the same in the form Salesforce stores them."""
    rows = people(
        1,
        score=Decimal("70.12"),
        when=datetime(2026, 11, 20, 10, 0, 0, 123_456, tzinfo=UTC),
        day="2026-11-20T23:59:59+05:30",
        trial="yes",
        mail="Ada@Example.COM",
        text="  padded \r\n text ",
        interests="Pricing;Product",
        staff="40",
    )
    fields = FIELDS | {
        "score": "Lead_Score__c",
        "when": "Score_Date__c",
        "day": "Qualified_On__c",
        "trial": "Is_Trial__c",
        "mail": "Email",
        "text": "Description",
        "interests": "Interests__c",
        "staff": "NumberOfEmployees",
    }
    first = run(creating(rows, tmp_path, fields=fields, existing="update"))
    history = emulator.history()
    second = run(creating(rows, tmp_path, fields=fields, existing="update"))

    assert first.counts == {"created": 1}
    assert second.full["unchanged_reasons"] == {"same_values": 1}
    assert emulator.history() == history
    assert len(writes(emulator)) == 1


def test_a_number_between_two_of_the_field_s_steps_is_not_written_again(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """What is compared is what Salesforce made of the number."""
    fields = {**FIELDS, "score": "Lead_Score__c"}
    rows = people(1, score=Decimal("70.125"))
    run(creating(rows, tmp_path, fields=fields, existing="update"))
    ran = run(creating(rows, tmp_path, fields=fields, existing="update"))

    assert emulator.leads()[0]["Lead_Score__c"] == 70.13
    assert ran.counts == {"unchanged": 1}


def test_constants_are_written_with_every_row(emulator: EmulatorServer, tmp_path: Path) -> None:
    """They may take the place of a required field's column."""
    ran = run(
        creating(
            people(2), tmp_path, fields={"last": "LastName"}, constants={"Company": "Const", "HasOptedOutOfEmail": True}
        )
    )

    assert ran.counts == {"created": 2}
    assert {(lead["Company"], lead["HasOptedOutOfEmail"]) for lead in emulator.leads()} == {("Const", True)}


@pytest.mark.parametrize(("nulls", "city"), [("ignore", "Paris"), ("clear", None)])
def test_nulls_clear_empties_a_field_and_ignore_leaves_it(
    emulator: EmulatorServer, tmp_path: Path, nulls: str, city: str | None
) -> None:
    """Blank text counts as null."""
    (lead_id,) = emulator.seed_leads(leads(people(1), City="Paris", Phone="1", Is_Trial__c=True))
    rows = people(1, city=" ", phone="2", trial=None)
    fields = {**FIELDS, "city": "City", "phone": "Phone", "trial": "Is_Trial__c"}
    ran = run(creating(rows, tmp_path, fields=fields, nulls=nulls, existing="update"))

    lead = emulator.lead(lead_id)
    assert ran.counts == {"updated": 1}
    assert (lead["City"], lead["Phone"], lead["Is_Trial__c"]) == (city, "2", nulls == "ignore")


@pytest.mark.parametrize(("truncate", "counts"), [(False, {"created": 1, "rejected": 1}), (True, {"created": 2})])
def test_a_company_of_255_characters_fits_and_one_of_256_is_rejected_or_cut(
    emulator: EmulatorServer, tmp_path: Path, counts: dict[str, int], *, truncate: bool
) -> None:
    """The row that is too long costs no call."""
    rows = [{**row, "company": "x" * size} for row, size in zip(people(2), (255, 256), strict=True)]
    ran = run(creating(rows, tmp_path, truncate=truncate, max_rejects=1))

    assert ran.counts == counts
    assert {len(lead["Company"]) for lead in emulator.leads()} == {255}
    assert sum(request["records"] for request in writes(emulator)) == counts["created"]
    if not truncate:
        assert (ran.rejects[0]["error_code"], ran.rejects[0]["key"]) == ("STRING_TOO_LONG", "K-1")


def test_match_email_counts_leads_and_contacts_as_existing(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Whoever Sales knows already by e-mail is not made a second time."""
    emulator.seed_leads([{"LastName": "By hand", "Company": "X", "Email": "Ada@Example.com"}])
    (contact,) = emulator.seed_contacts([{"LastName": "Contact", "Email": "bob@example.com"}])
    mails = ("ada@example.com", "BOB@example.com", "new@example.com")
    rows = [{**row, "mail": mail} for row, mail in zip(people(3), mails, strict=True)]
    ran = run(creating(rows, tmp_path, fields={**FIELDS, "mail": "Email"}, match_email=True))

    assert ran.counts == {"unchanged": 2, "created": 1}
    assert ran.by_key["K-1"]["contact_id"] == contact
    assert ran.by_key["K-2"]["action"] == "created"


def test_two_rows_with_one_new_e_mail_address_are_one_person(emulator: EmulatorServer, tmp_path: Path) -> None:
    """With match_email it cannot depend on the page size whether the second row counts as existing."""
    rows = people(2, mail="ada@example.com")
    ran = run(creating(rows, tmp_path, fields={**FIELDS, "mail": "Email"}, match_email=True))

    assert ran.counts == {"created": 1, "unchanged": 1}
    assert emulator.stats()["leads"] == 1


@pytest.mark.parametrize("reply", [None, [{"errorCode": "INVALID_FIELD", "message": "bad value"}]])
def test_a_400_for_a_whole_request_costs_only_the_row_that_caused_it(
    emulator: EmulatorServer, tmp_path: Path, reply: object
) -> None:
    """Requests are halved until the row stands alone, also where its neighbours have the same fields."""
    emulator.add_fault("bad_request", method="POST", path="/composite/sobjects", body='"Last 77"', reply=reply)
    ran = run(creating(people(400), tmp_path, max_rejects=1, concurrency=1))

    assert ran.counts == {"created": 399, "rejected": 1}
    assert ran.rejects[0]["key"] == "K-77"


@pytest.mark.parametrize("structural_errors", ["page", "row"])
def test_a_field_that_vanishes_in_mid_run_costs_the_rows_that_use_it(
    emulator: EmulatorServer, tmp_path: Path, structural_errors: str
) -> None:
    """Describe was right when the run began; rows without the field go on, the others are rejected, soon."""
    emulator.change_settings(structural_errors=structural_errors)
    rows = people(1_000, detail=None)
    for row in rows[::100]:
        row["detail"] = "x"

    def hide(number: int) -> None:
        if number == 0:
            emulator.change_settings(hidden_fields=["Lead_Source_Detail__c"])

    export = Rows(rows, before=hide)
    ran = run(creating(export, tmp_path, fields={**FIELDS, "detail": "Lead_Source_Detail__c"}, max_rejects=10))

    assert ran.counts == {"created": 990, "rejected": 10}
    assert ran.full["reject_reasons"] == {"INVALID_FIELD": 10}
    assert len(writes(emulator)) < 100


def test_every_record_rejected_fails_the_task_and_says_why(emulator: EmulatorServer, tmp_path: Path) -> None:
    """A green task means that leads arrived; everything is recorded before it turns red."""
    emulator.change_settings(duplicate_rule="block")
    emulator.seed_leads([{"LastName": f"Last {n}", "Company": "Acme"} for n in range(300)])
    ran = run(creating([*people(300), {"key": "bad", "last": "", "company": ""}], tmp_path))

    assert no_retry(ran.error)
    assert "DUPLICATES_DETECTED 300" in str(ran.error)
    assert "REQUIRED_FIELD_MISSING 1" in str(ran.error)
    assert ran.counts == {"rejected": 301}
    assert len(ran.rejects) == 301
    assert len(ran.rows) == 301


def test_an_export_without_rows_sends_nothing_and_succeeds(emulator: EmulatorServer, tmp_path: Path) -> None:
    """A quiet day is no error."""
    ran = run(creating(Rows([], columns=("key", "last", "company")), tmp_path))

    assert (ran.error, ran.counts, ran.full["api"], ran.rows, ran.rejects) == (None, {}, "none", [], [])
    assert writes(emulator) == []


def test_a_new_execution_begins_where_a_finished_task_is_cleared(emulator: EmulatorServer, tmp_path: Path) -> None:
    """The state store outlives a clear; what is right stays as it is."""
    task = Task()
    first = task.run(creating(people(5), tmp_path))
    history = emulator.history()
    second = task.run(creating(people(5), tmp_path))

    assert (first.full["attempts"], second.full["attempts"]) == (1, 1)
    assert first.folder != second.folder
    assert first.folder.parent == second.folder.parent
    assert second.counts == {"unchanged": 5}
    assert emulator.history() == history
