"""What a dry run foretells, held against the live run of the same rows: what it does, and what it costs."""

from __future__ import annotations

import json
import logging
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.exports import SqlTable
from tests.integration.support import FIELDS, Ran, Record, Task, creating, leads, moving, people, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_sfleads.emulator import EmulatorServer
    from airflow_provider_sfleads.operators.base import LeadSyncOperator

pytestmark = pytest.mark.usefixtures("salesforce_conn")

PLAIN: Record = {"external_id_field": None}
UPDATE: Record = {"existing": "update"}
BULK: Record = {"api": "bulk"}
PAGES: Record = {"api": "collections"}
ROUTES = {"collections": "sObject Collections", "bulk": "Bulk API 2.0"}


def preview_of(ran: Ran) -> Record:
    """The preview that lies beside the report."""
    found: Record = json.loads((ran.folder / "preview.json").read_text(encoding="utf-8"))
    return found


def is_poll(request: Record) -> bool:
    """Whether a request asks how a job stands."""
    return request["method"] == "GET" and re.search(r"/jobs/\w+/[^/]+$", str(request["path"])) is not None


class Cost:
    """Requests that a run took, as the emulator counted them."""

    def __init__(self, emulator: EmulatorServer, operator: LeadSyncOperator, task: Task | None = None) -> None:
        before = emulator.stats()["requests"]
        self.ran = (task or Task()).run(operator)
        self.requests = emulator.requests(emulator.stats()["requests"] - before)
        self.polls = sum(map(is_poll, self.requests))

    @property
    def less_polls(self) -> int:
        """All but the polls."""
        return len(self.requests) - self.polls


def holds(emulator: EmulatorServer, make: Callable[..., LeadSyncOperator]) -> tuple[Ran, Ran, Record]:
    """Run dry and live, and hold the estimate against what the emulator counted; the preview comes along."""
    dry = Cost(emulator, make(dry_run=True))
    preview = preview_of(dry.ran)
    live = Cost(emulator, make())
    estimate = preview["estimate"]

    assert live.ran.error is None
    assert estimate["unsure"] == []
    assert estimate["api"] == live.ran.full["api"]
    assert sum(estimate["steps"].values()) == estimate["api_calls"]
    foretold = estimate["api_calls"] - estimate["steps"].get("polls", 0) - dry.polls
    assert live.less_polls == foretold + estimate["token_requests"]
    assert live.polls >= estimate["steps"].get("polls", 0)
    if not live.polls:
        assert live.ran.full["api_calls"] == estimate["api_calls"]
    taken = preview["dry_run"]
    assert len(dry.requests) == taken["api_calls"] + taken["token_requests"]
    assert preview["counts"] == {name: dry.ran.full[name] for name in preview["counts"]}
    for name in ("create", "update"):
        assert preview["counts"][f"would_{name}"] == live.ran.full[f"{name}d"]
    return dry.ran, live.ran, preview


def dirty(count: int) -> list[Record]:
    """Rows of people, with some that are never sent."""
    odd = [
        {"key": "", "last": "x", "company": "Acme"},
        {"key": "K-3", "last": "Second", "company": "Acme"},
        {"key": "long", "last": "x" * 81, "company": "Acme"},
    ]
    return [*people(count), *odd]


@pytest.mark.parametrize("more", [{}, UPDATE, UPDATE | {"assignment_rule": None}, PLAIN, {"batch_size": 7}], ids=str)
@pytest.mark.parametrize("count", [1, 450, 1_234])
def test_the_cost_of_a_create_by_pages(
    emulator: EmulatorServer, tmp_path: Path, count: int, more: dict[str, Any]
) -> None:
    """With leads that exist, those that differ, rejects and duplicates; an insert that meets a lead is sent as well."""
    known = leads(people(count // 3)) if more.get("external_id_field", "x") else []
    emulator.seed_leads([{**lead, "Company": "Old"} if n % 3 else lead for n, lead in enumerate(known)])

    def make(**how: Any) -> LeadSyncOperator:
        return creating(dirty(count), tmp_path / str(how), max_rejects=2, **more, **how)

    _, _, preview = holds(emulator, make)
    assert ("look_ups" in preview["estimate"]["steps"]) is (more.get("existing") == "update")


@pytest.mark.parametrize("by", ["id", "key", "both", "mail"])
@pytest.mark.parametrize("count", [3, 900, 4_700])
def test_the_cost_of_a_move_by_pages(emulator: EmulatorServer, tmp_path: Path, by: str, count: int) -> None:
    """Each group of 2,000 that is looked up leaves at once, in pages that need not be full."""
    stages = (None, "Lead", "MQL", "SQL", "Nurture", "Lead", "Lead")
    seeded = [
        {**lead, "Email": f"m{n}@example.com", "Lead_Stage__c": stages[n * n % 7]}
        for n, lead in enumerate(leads(people(count - 1)))
    ]
    if by == "mail":
        seeded = [
            {**lead, "External_Id__c": lead["External_Id__c"] if n % 4 else None} for n, lead in enumerate(seeded)
        ]
    ids = emulator.seed_leads(seeded)
    emulator.convert_lead(ids[0])
    emulator.delete_lead(ids[1])
    rows = [
        {**row, "id": ids[n] if n < len(ids) and (by == "id" or n % 3) else None, "mail": f"m{n}@example.com"}
        for n, row in enumerate(dirty(count))
    ]
    rows = [{**row, "score": 90 if n % 11 else 1} for n, row in enumerate(rows)]
    how: dict[str, Any] = {"score": "score", "threshold": 70, "max_rejects": 50, **PAGES}
    how |= {"id": {**PLAIN, "lead_id": "id"}, "both": {"lead_id": "id"}}.get(by, {})
    how |= {"fields": {"mail": "Email"}, "match_email": True} if by == "mail" else {}
    holds(emulator, lambda **more: moving(rows, tmp_path / str(more), **how, **more))


@pytest.mark.parametrize("more", [{}, UPDATE, PLAIN], ids=str)
def test_the_cost_of_a_create_in_bulk(emulator: EmulatorServer, tmp_path: Path, more: dict[str, Any]) -> None:
    """Exact but for polls: jobs for the new and for the known, their two kinds of results, and a tail by pages."""
    known = leads(people(700)) if more.get("external_id_field", "x") else []
    emulator.seed_leads([{**lead, "Company": "Old"} if n % 2 else lead for n, lead in enumerate(known)])
    tail = people(30, start=9_000, last="#N/A")
    _, live, preview = holds(
        emulator,
        lambda **how: creating([*dirty(2_500), *tail], tmp_path / str(how), max_rejects=2, **BULK, **more, **how),
    )
    assert live.full["api"] == "bulk"
    assert preview["estimate"]["steps"]["pages"] == 1
    assert preview["estimate"]["plus"]


@pytest.mark.parametrize("by", ["id", "key"])
@pytest.mark.parametrize("api", ["bulk", "auto"])
def test_the_cost_of_a_move_in_bulk(emulator: EmulatorServer, tmp_path: Path, by: str, api: str) -> None:
    """With leads that stand there already, are gone, or are beyond the stage."""
    stages = (None, "Lead", "Lead", "Lead", "MQL", "SQL")
    ids = emulator.seed_leads([{**lead, "Lead_Stage__c": stages[n % 6]} for n, lead in enumerate(leads(people(5_000)))])
    rows = [{**row, "id": ids[n]} for n, row in enumerate(people(5_000))]
    how: dict[str, Any] = {**PLAIN, "lead_id": "id"} if by == "id" else {}
    _, live, _ = holds(emulator, lambda **more: moving(rows, tmp_path / str(more), api=api, **how, **more))
    assert live.full["api"] == "bulk"


def test_the_cost_of_a_look_up_by_a_job(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Its polls are those of the dry run's own."""
    emulator.change_settings(bulk_rate=20_000.0)
    emulator.seed_leads([{**lead, "Company": "Old"} for lead in leads(people(30_000))])
    _, live, preview = holds(emulator, lambda **how: creating(people(32_000), tmp_path / str(how), **UPDATE, **how))
    assert live.counts == {"created": 2_000, "updated": 30_000}
    assert preview["estimate"]["plus"] == ["polls while jobs run, those of a look-up among them"]


@pytest.mark.parametrize("by", ["id", "key"])
def test_the_cost_where_a_look_up_leaves_too_few_for_a_job(emulator: EmulatorServer, tmp_path: Path, by: str) -> None:
    """They are looked up once more, and go by pages; the preview says why."""
    ids = emulator.seed_leads(
        [{**lead, "Lead_Stage__c": "Lead" if n % 5 == 0 else "MQL"} for n, lead in enumerate(leads(people(4_000)))]
    )
    rows = [{**row, "id": ids[n]} for n, row in enumerate(people(4_000))]
    how: dict[str, Any] = {**PLAIN, "lead_id": "id"} if by == "id" else {}
    _, live, preview = holds(emulator, lambda **more: moving(rows, tmp_path / str(more), **how, **more))
    assert (live.full["api"], live.counts) == ("collections", {"updated": 800, "unchanged": 3_200})
    assert "800" in preview["estimate"]["api_reason"]


def test_the_cost_where_such_rows_are_looked_up_together_with_others(emulator: EmulatorServer, tmp_path: Path) -> None:
    """How they fall into groups is not known, which is said; the number is near, and the pages are right."""
    emulator.seed_leads(
        [{**lead, "Lead_Stage__c": "Lead" if n % 5 == 0 else "MQL"} for n, lead in enumerate(leads(people(4_000)))]
    )
    dry = run(moving(people(4_100), tmp_path, dry_run=True, max_rejects=100))
    estimate = preview_of(dry)["estimate"]
    live = run(moving(people(4_100), tmp_path / "live", max_rejects=100))

    assert live.counts == {"updated": 800, "unchanged": 3_200, "rejected": 100}
    assert len(estimate["unsure"]) == 1
    assert estimate["steps"]["pages"] == 4
    assert abs(estimate["api_calls"] - live.full["api_calls"]) <= 1


@pytest.mark.parametrize(("count", "more"), [(1_500, {}), (2_100, {}), (2_100, UPDATE)], ids=str)
def test_the_cost_of_what_auto_takes(
    emulator: EmulatorServer, tmp_path: Path, count: int, more: dict[str, Any]
) -> None:
    """By rows, and, where most rows are no row to send, in spite of many."""
    emulator.seed_leads(leads(people(300)))
    rows = [*people(count), *people(2_000)]
    holds(emulator, lambda **how: creating(rows, tmp_path / str(how), **more, **how))


def test_a_preview_of_nothing(emulator: EmulatorServer, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where all is as it should be already, there is nothing to show and nothing to send."""
    caplog.set_level(logging.INFO)
    emulator.seed_leads(leads(people(5)))
    _, _, preview = holds(emulator, lambda **how: creating(people(5), tmp_path / str(how), **UPDATE, **how))

    assert (preview["rows"], preview["estimate"]["api"]) == ([], "none")
    assert "would create 0 and update 0 leads; the rest: unchanged 5" in caplog.text


def test_creates_that_look_for_people_by_mail_are_about_right(emulator: EmulatorServer, tmp_path: Path) -> None:
    """What is not known is said, and the number is near."""
    emulator.seed_leads([{**lead, "Email": f"m{n}@example.com"} for n, lead in enumerate(leads(people(100)))])
    rows = [{**row, "mail": f"m{n % 1_150}@example.com"} for n, row in enumerate(people(1_200))]
    how: dict[str, Any] = {"fields": {**FIELDS, "mail": "Email"}, "match_email": True, **PAGES}
    dry = Cost(emulator, creating(rows, tmp_path / "dry", dry_run=True, **how))
    estimate = preview_of(dry.ran)["estimate"]
    live = Cost(emulator, creating(rows, tmp_path / "live", **how))

    assert live.ran.error is None
    assert estimate["unsure"]
    assert abs(live.ran.full["api_calls"] - estimate["api_calls"]) <= 4


@pytest.mark.parametrize("api", ["collections", "bulk"])
def test_a_dry_run_that_is_resumed_foretells_the_whole(emulator: EmulatorServer, tmp_path: Path, api: str) -> None:
    """Counts and first rows are those of all tries; what look-ups take is reckoned, and that is said."""
    emulator.seed_leads(leads(people(6_000), Lead_Stage__c="Lead"))
    rows = people(6_000)
    how: dict[str, Any] = {"api": api, "concurrency": 1}
    nth = 5 if api == "collections" else 3
    emulator.add_fault("status", path="/query", nth=nth, status=403, reply=[{"errorCode": "REQUEST_LIMIT_EXCEEDED"}])
    task = Task()
    first = task.run(moving(rows, tmp_path, dry_run=True, **how))
    broken = preview_of(first)
    emulator.clear_faults()
    second = task.run(moving(rows, tmp_path, dry_run=True, **how))
    whole = preview_of(second)
    live = Cost(emulator, moving(rows, tmp_path / "live", **how))

    assert first.full["not_sent"] > 0
    assert "could not be looked up" in broken["missing"]
    assert (second.error, second.folder, second.counts) == (None, first.folder, {"would_update": 6_000})
    assert (whole["missing"], whole["counts"]["would_update"]) == (None, 6_000)
    assert [row["key"] for row in whole["rows"]] == [f"K-{n}" for n in range(10)]
    assert len(whole["estimate"]["unsure"]) == 1
    assert abs(whole["estimate"]["api_calls"] - live.ran.full["api_calls"]) <= 3 + live.polls


def test_the_first_rows_that_would_change(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Ten of them, with their leads and stages; keys are as in the results, which lie in the same folder."""
    ids = emulator.seed_leads(
        [{**lead, "Lead_Stage__c": ("MQL", "Lead", None)[n % 3]} for n, lead in enumerate(leads(people(60)))]
    )
    preview = preview_of(run(moving(people(60), tmp_path, dry_run=True, constants={"Segment__c": "SMB"})))

    assert len(preview["rows"]) == 10
    assert preview["rows"][:2] == [
        {
            "key": f"K-{n}",
            "action": "would_update",
            "salesforce_id": ids[n],
            "old_stage": stage,
            "new_stage": "MQL",
        }
        for n, stage in ((1, "Lead"), (2, None))
    ]
    assert preview["fields"] == ["Lead_Stage__c", "Segment__c"]


@pytest.mark.parametrize("api", ["collections", "bulk"])
def test_what_the_log_says(
    emulator: EmulatorServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, api: str
) -> None:
    """At a glance: what would be done, to whom, and what that costs; addresses only as hashes, values never."""
    caplog.set_level(logging.INFO)
    emulator.seed_leads(leads(people(4), Lead_Stage__c="Lead"))
    rows = [*people(4), {"key": "zaphod@example.com", "last": "Beeblebrox", "company": "Qqx"}]
    emulator.seed_leads(leads(rows[4:], Lead_Stage__c=None))
    ran = run(moving(rows, tmp_path, dry_run=True, fields={"company": "Company"}, api=api))
    said = [record.getMessage() for record in caplog.records if record.name.endswith("dry_run_preview")]

    assert said[0] == "Preview: of 5 rows read, a live run would create 0 and update 5 leads; the rest: none."
    assert said[1] == "Fields that would be written: Lead_Stage__c, Company."
    assert said[2] == "The first 5 of the 5 rows that would change:"
    assert re.fullmatch(r"  'K-0' +would_update  00Q\w{15}  Lead +-> MQL", said[3])
    assert re.fullmatch(r"  sha:[0-9a-f]{16}  would_update  00Q\w{15}  \(no stage\) -> MQL", said[7])
    assert said[8].startswith("API calls of a live run: ")
    assert "(describe 1, look-ups 1, " in said[8]
    # Bulk asks for the assignment rule before the export is read.
    assert said[8].endswith(f"and a token; this dry run took {3 if api == 'bulk' else 2}.")
    assert said[-3] == f"They would go through {ROUTES[api]}: api={api!r} asks for it."
    assert re.fullmatch(r"That is 0\.0\d% of the org's 115,000 a day, of which 0\.0% are used\.", said[-2])
    assert said[-1].endswith("/preview.json")
    assert ("  plus polls while jobs run, those of a look-up among them" in said) is (api == "bulk")
    assert "Beeblebrox" not in caplog.text
    assert "Qqx" not in caplog.text
    assert ran.folder.name in said[-1]


def test_a_stage_of_several_lines_is_logged_as_one(
    emulator: EmulatorServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the stage's field is free text, what somebody entered is no line of the log."""
    caplog.set_level(logging.INFO)
    emulator.seed_leads(leads(people(1), Title="Lead\nAll is well"))
    run(moving(people(1), tmp_path, dry_run=True, stage_field="Title", ladder=None))

    assert all("\n" not in record.getMessage() for record in caplog.records if record.name.endswith("dry_run_preview"))


def test_a_live_run_leaves_no_preview(emulator: EmulatorServer, tmp_path: Path) -> None:
    """It has done what a preview would only foretell."""
    assert emulator.stats()["leads"] == 0
    assert not (run(creating(people(3), tmp_path)).folder / "preview.json").exists()


def test_a_run_that_would_come_to_the_ceiling_is_told_so(
    emulator: EmulatorServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Before it is begun, and not in the middle of the night."""
    caplog.set_level(logging.INFO)
    emulator.set_api_usage(103_495)
    preview = preview_of(run(creating(people(2_000), tmp_path, dry_run=True, **PAGES)))

    assert preview["api_usage"]["max"] == 115_000
    assert "ceiling is 90% (max_api_usage)" in caplog.text


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database, empty yet, at connection ``warehouse``."""
    path = tmp_path / "warehouse.db"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": str(path)}))
    return path


def held(path: Path) -> list[tuple[Any, ...]] | None:
    """What the write-back table holds; ``None`` where there is none."""
    with closing(sqlite3.connect(path)) as database:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'state'").fetchone():
            return None
        return database.execute("SELECT * FROM state ORDER BY key").fetchall()


@pytest.mark.parametrize("make", [creating, moving])
@pytest.mark.parametrize("api", ["collections", "bulk"])
@pytest.mark.parametrize("changed_only", [False, True])
def test_a_dry_run_writes_nothing_back(
    emulator: EmulatorServer,
    tmp_path: Path,
    table: Path,
    make: Callable[..., LeadSyncOperator],
    api: str,
    *,
    changed_only: bool,
) -> None:
    """A table that is missing is not made, and one that is there stays as it is; and so nothing is remembered."""
    emulator.seed_leads(leads(people(30)))
    how: Record = {"write_back": SqlTable("warehouse", "state"), "changed_only": changed_only, "api": api}
    first = run(make(people(60), tmp_path, dry_run=True, max_rejects=40, **how))
    assert (first.error, held(table)) == (None, None)
    live = run(make(people(60), tmp_path, max_rejects=40, **how))
    before = held(table)
    second = run(make(people(60, company="Other"), tmp_path, dry_run=True, max_rejects=40, **how))

    assert (live.error, second.error) == (None, None)
    assert before
    assert held(table) == before


@pytest.mark.parametrize("api", ["collections", "bulk"])
@pytest.mark.parametrize("more", [{}, UPDATE], ids=str)
def test_a_preview_of_changed_rows_only(
    emulator: EmulatorServer, tmp_path: Path, table: Path, api: str, more: Record
) -> None:
    """Rows that are as they were confirmed are unchanged and cost nothing; a dry run confirms nothing itself."""
    how: Record = {"write_back": SqlTable("warehouse", "state"), "changed_only": True, "api": api, **more}
    run(creating(people(500), tmp_path, **how))
    assert held(table)
    rows = [{**row, "company": "New" if n % 5 == 0 else "Acme"} for n, row in enumerate(people(520))]
    Task(run_id="before").run(creating(rows, tmp_path, dry_run=True, **how))
    dry, live, preview = holds(emulator, lambda **now: creating(rows, tmp_path / str(now), **how, **now))

    assert dry.full["unchanged_reasons"]["same_values"] == live.full["unchanged_reasons"]["same_values"] == 400
    assert preview["counts"]["unchanged"] == 400 + (100 if more == {} else 0)
