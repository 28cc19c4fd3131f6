"""Another writer makes the leads between our look-up and our write, or while Salesforce carries the write out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.emulator.dml import Write, execute
from airflow_provider_sfleads.emulator.fields import FieldSpec
from airflow_provider_sfleads.emulator.ids import SALES_USER_ID
from tests.integration.dying import Point, dies
from tests.integration.support import FIELDS, Ran, Record, Task, by_external_id, creating, killed, leads, people
from tests.integration.test_made_by_others import WRITE_OF, once

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

pytestmark = pytest.mark.usefixtures("salesforce_conn")

OURS, THEIRS = "Ours", "Theirs"
MADE = ("K-1", "K-3", "K-4")
WORDINGS = {
    "english": {},
    "german": {"language": "de"},
    "unknown": {"duplicate_value_wording": "unknown"},
}
# Salesforce checks it before the key's own field, and says DUPLICATE_VALUE of the first only.
BADGE = FieldSpec(name="Title", label="Title", length=128, unique=True)


@pytest.fixture(params=["collections", "bulk"])
def api(request: pytest.FixtureRequest) -> str:
    """Both."""
    return str(request.param)


@pytest.fixture(params=WORDINGS)
def wording(request: pytest.FixtureRequest) -> dict[str, Any]:
    """How ``DUPLICATE_VALUE`` is said."""
    return dict(WORDINGS[request.param])


@dataclass(frozen=True)
class Race:
    """What another writer has made in the middle of our write."""

    emulator: EmulatorServer
    api: str
    made: list[Record]
    #: How often an upsert of ours misses each of the leads.
    missed: int = 1

    def begin(self) -> None:
        """Have the leads made as soon as our first write has arrived."""
        if self.missed:
            self.emulator.add_fault("race", key="^K-", count=self.missed)
        once(self.emulator, self._make, path=WRITE_OF[self.api].removesuffix("/Lead/"))

    def _make(self) -> None:
        write = Write(operation="create", request=0, actor=SALES_USER_ID, auto_assign="FALSE")
        results = execute(self.emulator.emulator, self.made, write)
        assert all(result.success for result in results)


def theirs(keys: tuple[str, ...] = MADE, **more: Any) -> list[Record]:
    """The leads of the other writer."""
    return [lead | more for lead in leads(people(7, company=THEIRS)) if lead["External_Id__c"] in keys]


def of_all(emulator: EmulatorServer, name: str = "Company") -> dict[str, str]:
    """A value of each lead, by key; no key is there twice."""
    return {key: str(lead[name]) for key, lead in by_external_id(emulator).items()}


def check_rows(ran: Ran, emulator: EmulatorServer, expected: Callable[[str], tuple[str, str | None]]) -> None:
    """Each row's line says what became of it, and names its lead."""
    ids = {key: lead["Id"] for key, lead in by_external_id(emulator).items()}
    lines = {row["key"]: (row["action"], row["reason"], row["salesforce_id"]) for row in ran.rows}
    assert lines == {key: (*expected(key), ids[key]) for key in lines}


@pytest.mark.parametrize("missed", [0, 1, 3])
@pytest.mark.parametrize("named", [False, True])
def test_values_are_in_the_org_after_a_lost_race(
    emulator: EmulatorServer, tmp_path: Path, api: str, wording: dict[str, Any], missed: int, *, named: bool
) -> None:
    """An upsert that did not find the lead is sent again as its update, whatever the error's words."""
    emulator.change_settings(**wording, duplicate_value_fields=named)
    owner = theirs(OwnerId=SALES_USER_ID)
    Race(emulator, api, owner, missed).begin()
    ran = Task().run(creating(people(7, company=OURS), tmp_path, api=api, existing="update", batch_size=3))
    assert (ran.error, ran.counts) == (None, {"created": 4, "updated": 3})
    assert of_all(emulator) == {f"K-{n}": OURS for n in range(7)}
    check_rows(ran, emulator, lambda key: ("updated" if key in MADE else "created", None))
    if missed:
        # An update does not run the assignment rule.
        assert {of_all(emulator, "OwnerId")[key] for key in MADE} == {SALES_USER_ID}
    again = Task(run_id="again").run(creating(people(7, company=OURS), tmp_path, api=api, existing="update"))
    assert again.full["unchanged_reasons"] == {"same_values": 7}


@pytest.mark.parametrize("named", [False, True])
def test_a_lead_that_comes_first_is_skipped(
    emulator: EmulatorServer, tmp_path: Path, api: str, wording: dict[str, Any], *, named: bool
) -> None:
    """With ``existing="skip"`` it stays as the other has made it, and is named."""
    emulator.change_settings(**wording, duplicate_value_fields=named)
    Race(emulator, api, theirs()).begin()
    ran = Task().run(creating(people(7, company=OURS), tmp_path, api=api, batch_size=3))
    assert (ran.error, ran.counts) == (None, {"created": 4, "unchanged": 3})
    assert of_all(emulator) == {f"K-{n}": THEIRS if f"K-{n}" in MADE else OURS for n in range(7)}
    check_rows(ran, emulator, lambda key: ("unchanged", "already_exists") if key in MADE else ("created", None))


def with_badges(count: int, **more: Any) -> list[Record]:
    """Rows with a value of another unique field."""
    return [row | {"badge": f"B-{row['key']}"} for row in people(count, **more)]


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("existing", ["skip", "update"])
def test_another_unique_field_that_complains_first(
    emulator: EmulatorServer, tmp_path: Path, api: str, wording: dict[str, Any], existing: str, *, named: bool
) -> None:
    """The lead with the key is there, so it exists; a value that another key's lead holds is a reject."""
    emulator.change_settings(**wording, duplicate_value_fields=named, extra_fields=[BADGE])
    emulator.seed_leads([{"LastName": "x", "Company": "x", "External_Id__c": "other", "Title": "B-K-0"}])
    made = [lead | {"Title": f"B-{lead['External_Id__c']}"} for lead in theirs()]
    Race(emulator, api, made).begin()
    how: dict[str, Any] = {"fields": FIELDS | {"badge": "Title"}, "max_rejects": 1, "batch_size": 3}
    ran = Task().run(creating(with_badges(7, company=OURS), tmp_path, api=api, existing=existing, **how))
    known = "updated" if existing == "update" else "unchanged"
    assert (ran.error, ran.counts) == (None, {"created": 3, known: 3, "rejected": 1})
    there = of_all(emulator)
    assert {there[key] for key in MADE} == {OURS if existing == "update" else THEIRS}
    assert (ran.by_key["K-0"]["error_code"], ran.by_key["K-0"]["salesforce_id"]) == ("DUPLICATE_VALUE", None)
    assert "K-0" not in there


@pytest.mark.parametrize("missed", [1, 3])
def test_a_lead_that_is_there_and_a_value_that_is_not_free(
    emulator: EmulatorServer, tmp_path: Path, api: str, wording: dict[str, Any], missed: int
) -> None:
    """The update of the lead that came first meets another lead's value: a reject, after a few requests."""
    emulator.change_settings(**wording, extra_fields=[BADGE])
    emulator.seed_leads([{"LastName": "x", "Company": "x", "External_Id__c": "other", "Title": "B-K-1"}])
    Race(emulator, api, theirs(), missed).begin()
    how: dict[str, Any] = {"fields": FIELDS | {"badge": "Title"}, "max_rejects": 1}
    ran = Task().run(creating(with_badges(7, company=OURS), tmp_path, api=api, existing="update", **how))
    assert (ran.error, ran.counts) == (None, {"created": 4, "updated": 2, "rejected": 1})
    line = ran.by_key["K-1"]
    assert (line["error_code"], line["salesforce_id"]) == ("DUPLICATE_VALUE", by_external_id(emulator)["K-1"]["Id"])
    assert (of_all(emulator)["K-1"], of_all(emulator)["K-3"]) == (THEIRS, OURS)
    assert len(emulator.requests()) < 30


@pytest.mark.parametrize("existing", ["skip", "update"])
def test_a_race_of_rows_that_are_matched_by_e_mail_too(
    emulator: EmulatorServer, tmp_path: Path, api: str, wording: dict[str, Any], existing: str
) -> None:
    """K-0's lead is found by its address, K-6's is too and another takes its key meanwhile, K-1 is made by another."""
    emulator.change_settings(**wording)
    rows = [row | {"mail": f"{row['key']}@example.com".lower()} for row in people(7, company=OURS)]
    by_mail = [{"LastName": "x", "Company": "x", "Email": f"k-{n}@example.com"} for n in (0, 6)]
    found = emulator.seed_leads(by_mail)
    Race(emulator, api, theirs(("K-1", "K-6"))).begin()
    how: dict[str, Any] = {"fields": FIELDS | {"mail": "Email"}, "match_email": True, "batch_size": 2}
    ran = Task().run(creating(rows, tmp_path, api=api, existing=existing, **how))
    assert ran.error is None
    leads_now = {str(lead["External_Id__c"]): lead for lead in emulator.leads() if lead["External_Id__c"]}
    if existing == "skip":
        assert ran.counts == {"created": 4, "unchanged": 3}
        assert leads_now["K-1"]["Company"] == THEIRS
        return
    assert ran.counts == {"created": 4, "updated": 3}
    assert {lead["Company"] for lead in leads_now.values()} == {OURS}
    assert leads_now["K-0"]["Id"] == found[0]
    assert ran.by_key["K-6"]["salesforce_id"] == leads_now["K-6"]["Id"] != found[1]
    assert len(emulator.leads()) == 8


@pytest.mark.parametrize("existing", ["skip", "update"])
def test_a_row_s_own_request_that_got_no_answer_is_no_race(
    emulator: EmulatorServer, tmp_path: Path, api: str, wording: dict[str, Any], existing: str
) -> None:
    """What it made counts as created, and what another made in the same moment does not."""
    emulator.change_settings(**wording)
    emulator.add_fault("drop_after", nth=1, path="/composite/sobjects" if api == "collections" else "/batches")
    Race(emulator, api, theirs()).begin()
    task = Task()
    ran = task.run(creating(people(7, company=OURS), tmp_path, api=api, existing=existing, batch_size=7))
    assert ran.error is None
    assert (ran.full["created"], ran.full["updated" if existing == "update" else "unchanged"]) == (4, 3)
    assert of_all(emulator) == {f"K-{n}": THEIRS if f"K-{n}" in MADE and existing == "skip" else OURS for n in range(7)}


MANY = 2_300
MANY_MADE = tuple(f"K-{n}" for n in range(2_200))


def test_many_races_that_a_job_has_lost(emulator: EmulatorServer, tmp_path: Path) -> None:
    """More than go by pages else: they do not go out once more as new leads, which would be assigned anew."""
    emulator.change_settings(duplicate_value_wording="unknown")
    made = leads(people(len(MANY_MADE), company=THEIRS), OwnerId=SALES_USER_ID)
    Race(emulator, "bulk", made).begin()
    ran = Task().run(creating(people(MANY, company=OURS), tmp_path, api="bulk", existing="update"))
    assert (ran.error, ran.counts) == (None, {"created": 100, "updated": 2_200})
    assert set(of_all(emulator).values()) == {OURS}
    owners = of_all(emulator, "OwnerId")
    assert {owners[key] for key in MANY_MADE} == {SALES_USER_ID}
    assert [job["rows"] for job in emulator.jobs() if not job["query"]] == [MANY]


PIECES = "airflow_provider_sfleads.pipeline.staged_pieces:Pieces"
DEATHS = {
    "staged": Point(at=f"{PIECES}.publish", nth=2),
    "recorded": Point(at=f"{PIECES}.remove", before=True),
    "sent": Point(at="airflow_provider_sfleads.pipeline.page_sender:PageSender.send_page"),
}


@pytest.mark.parametrize("name", DEATHS)
def test_a_worker_that_is_killed_over_a_lost_race(
    emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The next try goes on with the rows that are to be updated, and each row is counted once."""
    Race(emulator, "bulk", theirs()).begin()
    task, rows = Task(), people(7, company=OURS)
    dies(monkeypatch, DEATHS[name])
    killed(creating(rows, tmp_path, api="bulk", existing="update"), task)
    ran = task.run(creating(rows, tmp_path, api="bulk", existing="update"))
    assert (ran.error, ran.full["read"], len(ran.rows)) == (None, 7, 7)
    assert of_all(emulator) == {f"K-{n}": OURS for n in range(7)}
    assert ran.full["created"] == 4
    assert ran.full["updated"] + ran.full["unchanged"] == 3
