"""A Run-As user with what the documentation lists and nothing else, and with each permission of that list less."""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from airflow_provider_sfleads.emulator.permissions import known_permissions
from airflow_provider_sfleads.exports import FileExport
from airflow_provider_sfleads.hooks.salesforce import SalesforceLeadsHook
from tests.integration.support import FIELDS, Export, Rows, creating, leads, moving, no_retry, people, run, writes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_sfleads.emulator import EmulatorServer
    from airflow_provider_sfleads.emulator.watching import Sight
    from airflow_provider_sfleads.exports.record_batches import ChunkStream
    from airflow_provider_sfleads.operators.base import LeadSyncOperator

pytestmark = pytest.mark.usefixtures("salesforce_conn")

PAGE = Path(__file__).parents[2] / "docs" / "permissions.md"
MAPPED = {**FIELDS, "mail": "Email", "phone": "Phone"}
OWN_FIELDS = ("External_Id__c", "Lead_Stage__c", "Email", "Phone")
APIS = pytest.mark.parametrize("api", ["collections", "bulk"])


def _documented() -> dict[str, str]:
    """The rows of the page's table, by the names that the emulator has for their permissions."""
    text = PAGE.read_text(encoding="utf-8")
    return {found[1]: found[0] for found in re.finditer(r"^\| [^|]*\(`([\w.<>]+)`[^|]*\|.*$", text, re.MULTILINE)}


DOCUMENTED = _documented()
LISTED = [
    name.replace("<Field>", field)
    for name in DOCUMENTED
    for field in (OWN_FIELDS if "<Field>" in name else ("",))
]  # fmt: skip


def allow_only_listed(emulator: EmulatorServer, *, less: tuple[str, ...] = ()) -> None:
    """Give the Run-As user what the page lists, less some."""
    emulator.change_settings(denied=[name for name in known_permissions() if name not in LISTED or name in less])


class Unopened(Rows):
    """An export that must not be opened."""

    def __init__(self) -> None:
        super().__init__(_people(1))

    @contextmanager
    def open(self) -> Iterator[ChunkStream]:
        """Fail the test."""
        pytest.fail("the export was opened")
        yield


def _people(count: int) -> list[dict[str, Any]]:
    return [{**row, "mail": f"{row['key'].lower()}@example.com", "phone": "1"} for row in people(count)]


def _creates(export: Export, folder: Path, **more: Any) -> LeadSyncOperator:
    return creating(export, folder, **{"fields": MAPPED, "match_email": True, "existing": "update", **more})


def _moves(export: Export, folder: Path, **more: Any) -> LeadSyncOperator:
    return moving(export, folder, **{"fields": {"phone": "Phone", "mail": "Email"}, "match_email": True, **more})


OPERATORS = pytest.mark.parametrize("make", [_creates, _moves], ids=["create", "move"])
Make: TypeAlias = "Callable[..., LeadSyncOperator]"


def needed(permission: str, make: Make, api: str) -> bool:
    """Whether a task cannot do without a permission."""
    if permission == "ViewSetup":
        return api == "bulk"
    if permission in {"Lead.Create", "Contact.Read", "Contact.Email.Read", "Lead.External_Id__c.Edit"}:
        return make is _creates
    return "Lead_Stage__c" not in permission or make is _moves


def words(permission: str) -> list[str]:
    """What the message has to say, as the page has it."""
    _, _, subject = permission.rpartition("Lead.")
    field, _, kind = subject.rpartition(".")
    if permission.startswith("Lead.") and field:
        return [field, f"no {kind} access"]
    return {
        "ApiEnabled": ["API Enabled"],
        "ViewSetup": ["AssignmentRule", "View Setup and Configuration", "api='collections'"],
        "Lead.Read": ["cannot see the Lead object", "Read"],
        "Lead.Create": ["may not create leads", "Create on Lead"],
        "Lead.Edit": ["may not edit leads", "Edit on Lead"],
        "Contact.Read": ["match_email", "Read on Contact"],
        "Contact.Email.Read": ["match_email", "Contact", "its field Email"],
    }[permission]


def test_the_page_lists_permissions_that_there_are() -> None:
    """Each of the table's, and the message that is quoted beside it."""
    assert {"ApiEnabled", "Lead.<Field>.Edit", "Contact.Email.Read"} <= DOCUMENTED.keys()
    assert set(LISTED) <= set(known_permissions())
    for name in LISTED:
        field = name.split(".")[1] if name.count(".") == 2 and name.startswith("Lead.") else None
        line = DOCUMENTED[name.replace(f".{field}.", ".<Field>.") if field else name]
        assert all(word in line for word in words(name) if word != field), name


@APIS
@OPERATORS
@pytest.mark.parametrize("dry_run", [False, True], ids=["live", "dry"])
def test_what_the_page_lists_is_enough(
    emulator: EmulatorServer, tmp_path: Path, make: Make, api: str, *, dry_run: bool
) -> None:
    """Leads are created, found by key and by e-mail, updated and moved."""
    rows = _people(5)
    known = [{**lead, "Phone": "2"} for lead in leads(rows[:2])]
    emulator.seed_leads([*known, {"LastName": "Last 2", "Company": "Acme", "Email": rows[2]["mail"]}])
    emulator.seed_contacts([{"LastName": "Last 3", "Email": rows[3]["mail"]}])
    allow_only_listed(emulator)
    ran = run(make(rows, tmp_path, api=api, dry_run=dry_run, max_rejects=2))

    assert ran.error is None
    done = {"created": 1, "updated": 3, "unchanged": 1} if make is _creates else {"updated": 3, "rejected": 2}
    would = {"created": "would_create", "updated": "would_update"} if dry_run else {}
    assert ran.counts == {would.get(name, name): n for name, n in done.items()}
    assert "not_visible" not in ran.full
    assert bool(writes(emulator)) is not dry_run


@APIS
@OPERATORS
@pytest.mark.parametrize("permission", LISTED)
@pytest.mark.parametrize("dry_run", [False, True], ids=["live", "dry"])
def test_without_one_of_them_a_task_fails_before_it_reads_or_runs(
    emulator: EmulatorServer, tmp_path: Path, make: Make, api: str, permission: str, *, dry_run: bool
) -> None:
    """Without retry, naming the permission; where it is not needed, all goes on."""
    rows = _people(2)
    emulator.seed_leads(leads(rows[:1]))
    allow_only_listed(emulator, less=(permission,))
    if not needed(permission, make, api):
        ran = run(make(rows, tmp_path, api=api, dry_run=dry_run, max_rejects=1))
        assert ran.error is None
        assert ran.full.get("not_visible", []) == (["ConvertedContactId"] if permission == "Contact.Read" else [])
        return
    ran = run(make(Unopened(), tmp_path, api=api, dry_run=dry_run))

    said = str(ran.error)
    assert no_retry(ran.error), said
    assert all(word in said for word in words(permission)), said
    assert writes(emulator) == []
    assert "read" not in (ran.report or {}) or ran.full["read"] == 0


@OPERATORS
def test_all_that_is_lacking_is_one_error(emulator: EmulatorServer, tmp_path: Path, make: Make) -> None:
    """Whoever mends it goes to Setup once."""
    lacking = ("Lead.Create", "Lead.Edit", "Lead.Phone.Read", "Contact.Read", "ViewSetup")
    allow_only_listed(emulator, less=lacking)
    said = str(run(make(Unopened(), tmp_path, api="bulk")).error)

    mine = [name for name in lacking if needed(name, make, "bulk")]
    kinds = {"Lead.Create": ["Create"], "Lead.Edit": ["Edit"]}
    assert all(word in said for name in mine for word in kinds.get(name) or words(name)), said
    assert said.count("\n  - ") == len(mine) - (make is _creates)


def test_what_may_not_be_read_beside_leads_is_told_with_them(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Contacts are asked for, though leads cannot be seen."""
    allow_only_listed(emulator, less=("Lead.Read", "Contact.Read"))
    ran = run(_creates(Unopened(), tmp_path))

    assert no_retry(ran.error)
    assert all(word in str(ran.error) for word in (*words("Lead.Read"), *words("Contact.Read")))


@APIS
def test_a_file_that_is_not_there_is_not_missed(emulator: EmulatorServer, tmp_path: Path, api: str) -> None:
    """The export's own file is not opened either."""
    export = FileExport(str(tmp_path / "nothing.csv"))
    assert "nothing.csv" in str(run(_creates(export, tmp_path, api=api)).error)
    allow_only_listed(emulator, less=("Contact.Read",))

    said = str(run(_creates(export, tmp_path, api=api)).error)
    assert "Read on Contact" in said
    assert "nothing.csv" not in said


@APIS
@OPERATORS
@pytest.mark.parametrize("dry_run", [False, True], ids=["live", "dry"])
@pytest.mark.parametrize("seen", [True, False], ids=["contacts", "no contacts"])
def test_who_may_not_read_contacts_gets_no_contact_ids(
    emulator: EmulatorServer, tmp_path: Path, make: Make, api: str, *, dry_run: bool, seen: bool
) -> None:
    """What describe does not show is not asked for; all else goes on, and the report says what is missing."""
    rows = _people(2)
    (lead_id, _) = emulator.seed_leads(leads(rows))
    contact_id = emulator.convert_lead(lead_id)
    allow_only_listed(emulator, less=() if seen else ("Contact.Read",))
    ran = run(make(rows, tmp_path, api=api, dry_run=dry_run, match_email=False))

    assert ran.error is None
    assert ran.counts == {"unchanged": 1, "would_update" if dry_run else "updated": 1}
    found = ran.by_key["K-0"]
    assert (found["reason"], found["contact_id"]) == ("converted", contact_id if seen else None)
    assert ran.full.get("not_visible") == (None if seen else ["ConvertedContactId"])


@pytest.mark.parametrize("api", ["collections", "bulk"])
def test_a_lead_converted_meanwhile_is_told_without_its_contact(
    emulator: EmulatorServer, tmp_path: Path, api: str
) -> None:
    """The look after a refused record asks for no more than may be seen."""
    rows = _people(1)
    (lead_id,) = emulator.seed_leads(leads(rows))
    allow_only_listed(emulator, less=("Contact.Read",))

    def convert(sight: Sight) -> None:
        is_write = (sight.method, sight.target.rpartition("/v60.0")[2]) in {
            ("PATCH", "/composite/sobjects"),
            ("POST", "/jobs/ingest"),
        }
        if is_write and sight.phase == "arrived":
            emulator.convert_lead(lead_id)

    emulator.watch(convert)
    ran = run(_moves(rows, tmp_path, api=api))

    assert ran.error is None
    assert ran.by_key["K-0"]["reason"] == "converted"


@pytest.mark.parametrize("dry_run", [False, True], ids=["live", "dry"])
def test_auto_takes_collections_where_it_may_not_read_the_rule(
    emulator: EmulatorServer, tmp_path: Path, *, dry_run: bool
) -> None:
    """Also above 2,000 rows; the rule runs by its header, and the report says why."""
    allow_only_listed(emulator, less=("ViewSetup",))
    ran = run(creating(people(2_100), tmp_path, dry_run=dry_run))

    assert ran.error is None
    assert ran.counts == {"would_create" if dry_run else "created": 2_100}
    assert ran.full["job_ids"] == []
    if not dry_run:
        assert ran.full["api"] == "collections"
        assert "AssignmentRule" in ran.full["api_reason"]
        assert "View Setup and Configuration" in ran.full["api_reason"]
        assert len({lead["OwnerId"] for lead in emulator.leads()}) == 1
        assert emulator.leads()[0]["OwnerId"].startswith("00G")


def test_auto_takes_bulk_where_no_rule_is_wanted(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Then there is nothing to read."""
    allow_only_listed(emulator, less=("ViewSetup",))

    assert run(creating(people(2_100), tmp_path, assignment_rule=None)).full["api"] == "bulk"


def test_the_test_button_is_green_and_tells_what_results_lack(emulator: EmulatorServer) -> None:
    """A sync runs there."""
    allow_only_listed(emulator)
    good, said = SalesforceLeadsHook().test_connection()
    assert good
    assert "contact ids" not in said

    allow_only_listed(emulator, less=("Contact.Read",))
    good, said = SalesforceLeadsHook().test_connection()
    assert good
    assert "contact ids are not shown (no Read on Contact)" in said
