"""Objects beside Lead that a sync reads, with a Run-As user who may read leads alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.emulator.ids import ACTIVE_RULE_ID
from airflow_provider_sfleads.exceptions import MappingError, ObjectAccessError
from tests.integration.support import FIELDS, Ran, creating, moving, no_retry, people, run, writes

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_sfleads.emulator import EmulatorServer

pytestmark = [
    pytest.mark.usefixtures("salesforce_conn"),
    pytest.mark.parametrize("api", ["collections", "bulk", "auto"]),
]

MAILED: dict[str, Any] = {"fields": {**FIELDS, "mail": "Email"}, "match_email": True}


def told(ran: Ran, emulator: EmulatorServer) -> str:
    """What a load was refused with, for good and before anything of it was sent."""
    assert isinstance(ran.error, ObjectAccessError)
    assert no_retry(ran.error)
    assert writes(emulator) == []
    assert not [request for request in emulator.requests() if request["method"] == "POST" and _makes_job(request)]
    return str(ran.error)


def _makes_job(request: dict[str, Any]) -> bool:
    return str(request["route"]).endswith("/jobs/ingest")


@pytest.mark.parametrize("more", [{}, {"existing": "update"}, {"dry_run": True}], ids=str)
def test_match_email_without_access_to_contacts_says_so_before_anything_is_sent(
    emulator: EmulatorServer, tmp_path: Path, api: str, more: dict[str, Any]
) -> None:
    """It names the object, the permission and the parameter."""
    emulator.change_settings(hidden_objects=["Contact"])
    ran = run(creating(people(3, mail="x@acme.example"), tmp_path, api=api, **MAILED, **more))

    said = told(ran, emulator)
    assert "match_email" in said
    assert "Read on Contact" in said
    assert "sObject type 'Contact' is not supported" in said
    assert not [request for request in emulator.requests() if "composite" in str(request["route"])]


def test_what_is_encrypted_at_random_finds_nobody_and_is_said_before_anything_is_sent(
    emulator: EmulatorServer, tmp_path: Path, api: str
) -> None:
    """Shield Platform Encryption: a query by such an Email, or by such a key, would be refused."""
    sealed = {"length": 80, "encrypted": True}
    key = {**sealed, "name": "External_Id__c", "external_id": True, "id_lookup": True, "unique": True}
    emulator.change_settings(extra_fields=[{**sealed, "name": "Email", "type": "email"}, key])
    ran = run(creating(people(3, mail="x@acme.example"), tmp_path, api=api, **MAILED))

    assert isinstance(ran.error, MappingError)
    assert no_retry(ran.error)
    assert "match_email: Salesforce finds no leads by Email" in str(ran.error)
    assert "external_id_field External_Id__c: Salesforce finds no leads by it" in str(ran.error)
    assert writes(emulator) == []


def test_a_move_by_email_reads_no_contacts(emulator: EmulatorServer, tmp_path: Path, api: str) -> None:
    """Only leads have a stage."""
    emulator.change_settings(hidden_objects=["Contact", "AssignmentRule"])
    emulator.seed_leads([{"LastName": "A", "Company": "X", "Email": "ada@example.com"}])
    moves = moving(
        people(1, mail="ada@example.com"),
        tmp_path,
        api=api,
        fields={"mail": "Email"},
        match_email=True,
        assignment_rule=None,
    )

    assert run(moves).counts == {"updated": 1}


def test_only_bulk_reads_the_assignment_rule_and_says_so_before_it_makes_a_job(
    emulator: EmulatorServer, tmp_path: Path, api: str
) -> None:
    """REST has a header for the org's active rule; a job has to name the rule."""
    emulator.change_settings(hidden_objects=["AssignmentRule"])
    ran = run(creating(people(3), tmp_path, api=api))

    if api != "bulk":
        assert ran.counts == {"created": 3}
        return
    said = told(ran, emulator)
    assert "assignment_rule='default'" in said
    assert "View Setup and Configuration" in said
    assert ran.full["read"] == 0


@pytest.mark.parametrize("rule", [None, ACTIVE_RULE_ID])
def test_a_named_rule_or_none_needs_no_access_to_rules(
    emulator: EmulatorServer, tmp_path: Path, api: str, rule: str | None
) -> None:
    """What the message advises works."""
    emulator.change_settings(hidden_objects=["AssignmentRule"])

    assert run(creating(people(3), tmp_path, api=api, assignment_rule=rule)).counts == {"created": 3}


def test_a_moved_bulk_load_is_refused_likewise(emulator: EmulatorServer, tmp_path: Path, api: str) -> None:
    """A lead that moves is routed, too; nothing of the export is read before the rule is known."""
    emulator.change_settings(hidden_objects=["assignmentrule"])
    rows = people(3)
    emulator.seed_leads([{"LastName": "A", "Company": "X", "External_Id__c": row["key"]} for row in rows])
    ran = run(moving(rows, tmp_path, api=api))

    if api == "bulk":
        assert "AssignmentRule" in told(ran, emulator)
    else:
        assert ran.counts == {"updated": 3}
