from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.support import FIELDS, Record, Task, creating, leads, moving, no_retry, people, run, writes

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

pytestmark = pytest.mark.usefixtures("salesforce_conn")

WOULD = {"would_create": "created", "would_update": "updated"}


def live(counts: Record) -> Record:
    """The counts of a dry run as those of a live one."""
    return {WOULD.get(name, name): number for name, number in counts.items()}


def messy() -> list[Record]:
    """Rows of every kind."""
    odd: list[Record] = [
        {"key": "", "last": "x", "company": "Acme"},
        {"key": "K-3", "last": "Second", "company": "Acme"},
        {"key": "long", "last": "x" * 81, "company": "Acme"},
        {"key": "none", "last": None, "company": None},
    ]
    return [{"mail": None, "score": 70 + n % 3, **row} for n, row in enumerate([*people(450), *odd])]


@pytest.mark.parametrize(
    "more", [{}, {"existing": "update"}, {"match_email": True}, {"external_id_field": None}], ids=str
)
def test_a_dry_run_of_a_create_counts_what_the_live_one_does_and_changes_nothing(
    emulator: EmulatorServer, tmp_path: Path, more: dict[str, Any]
) -> None:
    """Also which leads exist already is found out, by external ID and by e-mail."""
    known = leads(people(120)) if more.get("external_id_field", "x") else []
    ids = emulator.seed_leads([{**lead, "Company": "Old"} if n % 2 else lead for n, lead in enumerate(known)])
    emulator.seed_leads([{"LastName": "By mail", "Company": "X", "Email": "ada@example.com"}])
    if ids and more.get("existing") == "update":
        emulator.convert_lead(ids[0])
    rows = messy()
    rows[200]["mail"] = rows[201]["mail"] = "new@example.com"
    rows[210]["mail"] = "Ada@example.com"
    how: dict[str, Any] = {"fields": {**FIELDS, "mail": "Email"}, "max_rejects": 10, **more}
    history, count = emulator.history(), emulator.stats()["leads"]
    dry = run(creating(rows, tmp_path / "dry", dry_run=True, **how))

    assert (emulator.history(), emulator.stats()["leads"], writes(emulator)) == (history, count, [])
    assert dry.error is None
    assert dry.full["dry_run"] is True
    assert dry.full["would_create"] == sum(row["action"] == "would_create" for row in dry.rows) > 0
    assert {row["api"] for row in dry.rows} == {None}
    assert dry.full["api"] == "none"
    real = run(creating(rows, tmp_path / "live", **how))
    assert live(dry.counts) == real.counts
    assert dry.full["unchanged_reasons"] == real.full["unchanged_reasons"]
    assert dry.full["reject_reasons"] == real.full["reject_reasons"]
    known_ids = [
        {row["key"]: row["salesforce_id"] for row in ran.rows if row["action"] == "unchanged"} for ran in (dry, real)
    ]
    assert known_ids[0].keys() == known_ids[1].keys()
    # A dry run makes no lead, so the second row of a new address has none to name.
    assert {key: found for key, found in known_ids[1].items() if known_ids[0][key]} == {
        key: found for key, found in known_ids[0].items() if found
    }


def test_a_dry_run_of_a_create_gives_a_converted_lead_the_reason_of_the_live_one(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """With existing="skip" a lead that exists is `already_exists`, whatever became of it."""
    (lead_id,) = emulator.seed_leads(leads(people(1)))
    emulator.convert_lead(lead_id)
    dry = run(creating(people(1), tmp_path / "dry", dry_run=True))
    real = run(creating(people(1), tmp_path / "live"))

    assert dry.full["unchanged_reasons"] == real.full["unchanged_reasons"] == {"already_exists": 1}


@pytest.mark.parametrize("by", ["id", "key"])
def test_a_dry_run_of_a_move_counts_what_the_live_one_does_and_changes_nothing(
    emulator: EmulatorServer, tmp_path: Path, by: str
) -> None:
    """Stages, filters and leads that are missing are all looked at."""
    rows = messy()
    stages = (None, "Lead", "MQL", "SQL", "Nurture")
    ids = emulator.seed_leads([{**lead, "Lead_Stage__c": stages[n % 5]} for n, lead in enumerate(leads(people(440)))])
    emulator.convert_lead(ids[0])
    emulator.delete_lead(ids[1])
    rows = [{**row, "id": ids[n] if n < len(ids) else None} for n, row in enumerate(rows)]
    how: dict[str, Any] = {"score": "score", "threshold": 70, "max_rejects": 50}
    how |= {"external_id_field": None, "lead_id": "id"} if by == "id" else {}
    history = emulator.history()
    dry = run(moving(rows, tmp_path / "dry", dry_run="True", **how))

    assert (emulator.history(), writes(emulator)) == (history, [])
    assert {(row["old_stage"], row["new_stage"]) for row in dry.rows if row["action"] == "would_update"} == {
        (None, "MQL"),
        ("Lead", "MQL"),
    }
    real = run(moving(rows, tmp_path / "live", **how))
    assert (dry.error, real.error) == (None, None)
    assert live(dry.counts) == real.counts
    assert dry.full["unchanged_reasons"] == real.full["unchanged_reasons"]
    assert dry.full["reject_reasons"] == real.full["reject_reasons"]


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(
    ("max_rejects", "bad", "fails"),
    [
        (0, 0, False),
        (0, 1, True),
        (2, 2, False),
        (2, 3, True),
        pytest.param("2", 2, False, id="rendered count"),
        (0.2, 2, False),
        (0.2, 3, True),
        pytest.param("0.2", 3, True, id="rendered share"),
        (0.0, 0, False),
        (0.0, 1, True),
        (1, 1, False),
        (1, 2, True),
    ],
)
def test_rejects_fail_a_run_beyond_a_count_or_a_share_also_a_dry_one(
    tmp_path: Path, max_rejects: object, bad: int, *, fails: bool, dry_run: bool
) -> None:
    """An int is a count and a float a share of the rows read; exactly as many as allowed are allowed."""
    rows = [*people(10 - bad), *({"key": f"bad {n}"} for n in range(bad))]
    ran = run(creating(rows, tmp_path, max_rejects=max_rejects, dry_run=dry_run))

    assert ran.full["rejected"] == bad
    assert (ran.error is not None) is fails
    if fails:
        assert no_retry(ran.error)
        assert "max_rejects" in str(ran.error)
    assert len(ran.rejects) == bad


def test_a_live_run_does_not_go_on_with_a_dry_one(emulator: EmulatorServer, tmp_path: Path) -> None:
    """A dry try that could not look up everything leaves nothing that a live try would take for done."""
    task = Task()
    emulator.seed_leads(leads(people(5)))
    emulator.add_fault("status", path="/query", status=403, reply=[{"errorCode": "REQUEST_LIMIT_EXCEEDED"}], times=1)
    dry = task.run(creating(people(10), tmp_path, dry_run=True))
    assert dry.counts == {"not_sent": 10}
    assert not no_retry(dry.error)
    real = task.run(creating(people(10), tmp_path))

    assert real.counts == {"created": 5, "unchanged": 5}
    assert real.folder != dry.folder
    again = task.run(creating(people(10), tmp_path, dry_run=True))
    assert again.folder == dry.folder
    assert again.counts == {"unchanged": 10}


def test_a_dry_run_between_two_tries_leaves_their_account_alone(emulator: EmulatorServer, tmp_path: Path) -> None:
    """It finds the lead whose answer was lost; the live retry still counts it as its own."""
    how: dict[str, Any] = {"external_id_field": None}
    task = Task()
    emulator.add_fault("drop_after", method="POST", path="/composite/sobjects", nth=1)
    emulator.add_fault("status", path="/query", status=403, reply=[{"errorCode": "NO", "message": "no"}])
    assert task.run(creating(people(1), tmp_path, **how)).counts == {"not_sent": 1}
    emulator.clear_faults()
    dry = task.run(creating(people(1), tmp_path, dry_run=True, **how))
    real = task.run(creating(people(1), tmp_path, **how))

    assert dry.folder.name.endswith("-dry-run")
    assert (dry.error, real.counts, emulator.stats()["leads"]) == (None, {"created": 1}, 1)
