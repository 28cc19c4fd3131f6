from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.support import FIELDS, Record, creating, moving, no_retry, people, run, writes

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

pytestmark = pytest.mark.usefixtures("salesforce_conn")

BY_MAIL: dict[str, Any] = {"fields": {**FIELDS, "mail": "Email"}, "match_email": True}
MOVE_BY_MAIL: dict[str, Any] = {"fields": {"mail": "Email"}, "match_email": True}


def known(emulator: EmulatorServer) -> dict[str, str]:
    """People of every kind in Salesforce; returns the ids of their leads, or of the contact."""
    lead = {"LastName": "By hand", "Company": "X"}
    ids = emulator.seed_leads(
        [
            {**lead, "Email": "Lead@Example.com"},
            {**lead, "Email": "converted@example.com"},
            {**lead, "Email": "twice@example.com"},
            {**lead, "Email": "twice@example.com"},
            {**lead, "Email": "other@example.com", "External_Id__c": "another key"},
            {**lead, "Email": "own@example.com", "External_Id__c": "K-5"},
            {**lead, "Email": "deleted@example.com"},
        ]
    )
    emulator.convert_lead(ids[1])
    emulator.delete_lead(ids[6])
    (contact,) = emulator.seed_contacts([{"LastName": "Contact", "Email": "contact@example.com"}])
    return dict(zip(("lead", "converted", "twice", "", "other", "own", "deleted"), ids, strict=True)) | {
        "contact": contact
    }


MAILS = (
    "lead@example.com",
    "CONVERTED@example.com",
    "twice@example.com",
    "contact@example.com",
    "other@example.com",
    " own@example.com ",
    "missing@example.com",
    None,
    "deleted@example.com",
)


def rows() -> list[Record]:
    """A row for each of them."""
    return [{**row, "mail": mail} for row, mail in zip(people(len(MAILS)), MAILS, strict=True)]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_create_leaves_alone_whom_sales_knows_by_e_mail(
    emulator: EmulatorServer, tmp_path: Path, *, dry_run: bool
) -> None:
    """Lead, contact, converted, ambiguous, of another key: all exist; without a match or an address, a new lead."""
    ids = known(emulator)
    ran = run(creating(rows(), tmp_path, dry_run=dry_run, **BY_MAIL))

    found = ran.by_key
    word = "would_create" if dry_run else "created"
    assert ran.error is None
    assert [found[f"K-{n}"]["action"] for n in range(9)] == ["unchanged"] * 6 + [word] * 3
    assert {found[f"K-{n}"]["reason"] for n in (0, 2, 3, 4, 5)} == {"already_exists"}
    assert [found[f"K-{n}"]["salesforce_id"] for n in (0, 1, 4, 5)] == [
        ids[name] for name in ("lead", "converted", "other", "own")
    ]
    assert found["K-3"]["contact_id"] == ids["contact"]
    assert found["K-1"]["contact_id"]
    assert len(writes(emulator)) == (0 if dry_run else 1)


def test_a_create_that_updates_writes_those_found_by_e_mail_and_takes_no_lead_from_another_key(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """The key is written along, the owner stays; converted, contacts and leads of another key are left alone."""
    ids = known(emulator)
    owners = {lead["Id"]: lead["OwnerId"] for lead in emulator.leads()}
    ran = run(creating(rows(), tmp_path, existing="update", max_rejects=1, **BY_MAIL))

    found = ran.by_key
    assert ran.error is None
    assert [found[f"K-{n}"]["action"] for n in range(9)] == [
        "updated",
        "unchanged",
        "rejected",
        "unchanged",
        "unchanged",
        "updated",
        "created",
        "created",
        "created",
    ]
    assert {found[f"K-{n}"]["reason"] for n in (1, 3, 4)} == {"already_exists"}
    assert found["K-1"]["contact_id"]
    lead = emulator.lead(ids["lead"])
    assert (lead["External_Id__c"], lead["LastName"], lead["OwnerId"]) == ("K-0", "Last 0", owners[ids["lead"]])
    assert emulator.lead(ids["other"])["LastName"] == "By hand"
    history = emulator.history()
    again = run(creating(rows(), tmp_path, existing="update", max_rejects=1, **BY_MAIL))
    assert again.counts == {"unchanged": 8, "rejected": 1}
    assert emulator.history() == history


@pytest.mark.parametrize("external_id_field", ["External_Id__c", None])
def test_a_move_finds_the_lead_by_e_mail_where_the_key_finds_none(
    emulator: EmulatorServer, tmp_path: Path, external_id_field: str | None
) -> None:
    """A contact is no lead; two leads of one address are one too many; nothing else of the lead is changed."""
    ids = known(emulator)
    ran = run(moving(rows(), tmp_path, external_id_field=external_id_field, max_rejects=9, **MOVE_BY_MAIL))

    found = ran.by_key
    moved = {row["salesforce_id"] for row in ran.rows if row["action"] == "updated"}
    assert {ids["lead"], ids["own"]} <= moved
    assert found["K-1"]["reason"] == "converted"
    assert found["K-2"]["error_code"] == "DUPLICATE_EXTERNAL_ID"
    assert {found[f"K-{n}"]["action"] for n in (3, 6, 7, 8)} == {"rejected"}
    assert len(emulator.leads()) == 6
    assert {lead["Lead_Stage__c"] for lead in emulator.leads() if lead["Id"] not in moved} == {None}


def test_a_move_by_e_mail_takes_no_lead_that_belongs_to_another_key(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Two people may share an address; whose lead it is says its key, as for the create operator."""
    ids = known(emulator)
    ran = run(moving(rows()[4:5], tmp_path, max_rejects=1, **MOVE_BY_MAIL))

    assert ran.by_key["K-4"]["action"] != "updated"
    assert emulator.lead(ids["other"])["Lead_Stage__c"] is None


def test_rows_that_mean_one_lead_by_key_and_by_e_mail_move_it_once(emulator: EmulatorServer, tmp_path: Path) -> None:
    """The second is a duplicate."""
    emulator.seed_leads([{"LastName": "A", "Company": "X", "External_Id__c": "K-0", "Email": "ada@example.com"}])
    given: list[Record] = [
        {"key": "K-0", "mail": None},
        {"key": "K-1", "mail": "ada@example.com"},
        {"key": "K-2", "mail": "ADA@example.com"},
    ]
    ran = run(moving(given, tmp_path, **MOVE_BY_MAIL))

    assert (ran.full["updated"], ran.full["read"]) == (1, 3)
    assert ran.full["updated"] + ran.full["duplicate_keys"] + ran.full["rejected"] == 3
    assert len([step for step in emulator.history() if step["field"] == "Lead_Stage__c"]) == 1


def test_addresses_with_quotes_and_many_of_them_are_asked_for_in_full(emulator: EmulatorServer, tmp_path: Path) -> None:
    """An address is a string in a query: nothing in it ends it, and each list fits a URL."""
    mails = [f"o'neil.{n}.{'x' * 40}@example.com" for n in range(450)]
    emulator.seed_leads([{"LastName": "A", "Company": "X", "Email": mail} for mail in mails])
    given: list[Record] = [{**row, "mail": mail.upper()} for row, mail in zip(people(450), mails, strict=True)]
    ran = run(creating(given, tmp_path, **BY_MAIL))

    assert ran.counts == {"unchanged": 450}


@pytest.mark.parametrize("make", [creating, moving])
def test_match_email_needs_a_column_that_is_mapped_to_email(
    emulator: EmulatorServer,
    tmp_path: Path,
    make: Any,  # noqa: ANN401 - creating or moving
) -> None:
    """Else nobody would ever be found."""
    ran = run(make(people(1), tmp_path, match_email=True))

    assert no_retry(ran.error)
    assert "match_email" in str(ran.error)
    assert writes(emulator) == []


def test_of_two_rows_of_one_address_the_second_is_not_lost_where_the_first_is_refused(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """`already_exists` is for somebody who exists: else neither row has a lead, and no retry sends the second."""
    emulator.change_settings(duplicate_rule="block")
    emulator.seed_leads([{"LastName": "Last 0", "Company": "Acme"}])
    ran = run(creating(people(2, mail="ada@example.com"), tmp_path, max_rejects=2, **BY_MAIL))

    assert ran.by_key["K-0"]["action"] == "rejected"
    assert ran.by_key["K-1"]["reason"] != "already_exists"
