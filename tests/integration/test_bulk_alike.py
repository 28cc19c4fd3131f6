"""One setting, one effect: the same dirty export through either API leaves the same leads and the same account."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.support import FIELDS, Ran, Record, Task, creating, leads, moving, people

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_sfleads.emulator import EmulatorServer
    from airflow_provider_sfleads.operators.base import LeadSyncOperator

pytestmark = pytest.mark.usefixtures("salesforce_conn")

MAPPED = FIELDS | {
    "mail": "Email",
    "text": "Description",
    "money": "Budget__c",
    "staff": "NumberOfEmployees",
    "score": "Lead_Score__c",
    "when": "Score_Date__c",
    "day": "Qualified_On__c",
    "trial": "Is_Trial__c",
    "segment": "Segment__c",
    "interests": "Interests__c",
    "legacy": "Legacy_Id__c",
}
CELLS: dict[str, tuple[Any, ...]] = {
    "last": (
        "Doe {n}",
        " O'Hara {n} ",
        'Quote "{n}"',
        "Ünïcode 漢字 😀{n}",
        "line\n{n}",
        "comma, {n}",
        "",
        None,
        "x" * 81,
    ),
    "company": ("Acme", "Acme, Inc.", "#n/a", "Ä & Ö", "=1+1", None),
    "mail": ("a{n}@example.com", "known@example.com", "not an address", "", None, "UPPER{n}@EXAMPLE.COM"),
    "text": ('She said "no"\r\nand left', "a\tb", "\\n", ",,,", None, " padded ", "tail\n", "“quotes”", "'", '"'),
    "money": (Decimal("1234.50"), Decimal("0.005"), Decimal("99999999999999.99"), None, Decimal("-1.10"), "12.5", "x"),
    "staff": (1, 0, "40", None, 12.0, 12.5, 10**9),
    "score": (1.5, 70.125, float("nan"), None, -0.0, 1e-7, 123456789.5),
    "when": (datetime(2026, 11, 20, 10, 0, 0, 123_456, tzinfo=UTC), "2026-11-20T10:00:00+02:00", None, "soon"),
    "day": (date(2026, 2, 28), "2026-02-28", None, "28.02.2026"),
    "trial": (True, False, "yes", "0", None, "perhaps"),
    "segment": ("SMB", "smb", "Nobody", None),
    "interests": ("Pricing;Product", "Product", None),
    "legacy": ("7", "#N/A", None),
}


def dirty(count: int, seed: int) -> list[Record]:
    """Rows of all kinds, mostly fine; some keys come twice, some are missing."""
    chance = random.Random(seed)
    rows = []
    for n in range(count):
        row = {"key": f"K-{n}", **{name: cells[0] for name, cells in CELLS.items()}}
        for name in chance.sample(list(CELLS), 3):
            row[name] = chance.choice(CELLS[name])
        if chance.random() < 0.05:
            row["key"] = chance.choice(["", None, "k-1", " K-2 ", "K" * 65, "#N/A"])
        # What a duplicate rule says of two rows of one export hangs on which of them is sent first.
        for name in ("mail", "last"):
            row[name] = row[name] and row[name].format(n=n)
        rows.append(row)
    return rows


def through(
    api: str, operator: Callable[..., LeadSyncOperator], emulator: EmulatorServer, folder: Path, **more: Any
) -> tuple[Ran, list[Record], list[Record]]:
    """Run it; what it says of each row, and the leads that are there then, without what differs from run to run."""
    ran = Task(run_id=api).run(operator(folder=folder, api=api, max_rejects=10_000, **more))
    assert ran.error is None
    passing = {"api", "batch", "attempt", "finished_at", "salesforce_id", "lead_url", "contact_id"}
    rows = [{name: value for name, value in row.items() if name not in passing} for row in ran.rows]
    for row, whole in zip(rows, ran.rows, strict=True):
        row["has_lead"], row["has_contact"] = bool(whole["salesforce_id"]), bool(whole["contact_id"])
        row["sent"] = whole["api"] is not None
    own = {"Id", "CreatedDate", "LastModifiedDate", "SystemModstamp", "ConvertedDate"}
    own |= {"ConvertedAccountId", "ConvertedContactId", "ConvertedOpportunityId"}
    made = [{name: value for name, value in lead.items() if name not in own} for lead in emulator.leads()]
    return ran, sorted(rows, key=repr), sorted(made, key=repr)


def differing(left: list[Record], right: list[Record]) -> list[tuple[str, list[str]]]:
    """What only one of two sorted lists of records has, next to each other."""
    ours, theirs = ([sorted(map(repr, record.items())) for record in records] for records in (left, right))
    nothing: list[str] = []
    one = [each for each in ours if each not in theirs]
    other = [each for each in theirs if each not in ours]
    return [("bulk | collections", sorted({*a} ^ {*b})) for a, b in zip_longest(one, other, fillvalue=nothing)][:5]


def seed(emulator: EmulatorServer) -> None:
    """An org with leads at all stages, converted ones, and one with an address that others have too."""
    emulator.reset()
    stages = (None, "Lead", "MQL", "SAL", "SQL")
    known = people(100, start=100)
    ids = emulator.seed_leads([leads([row], Lead_Stage__c=stages[n % 5])[0] for n, row in enumerate(known)])
    for lead_id in ids[::20]:
        emulator.convert_lead(lead_id)
    emulator.seed_leads([{"LastName": "Known", "Company": "Acme", "Email": "known@example.com"}])


def assert_alike(operator: Callable[..., LeadSyncOperator], emulator: EmulatorServer, folder: Path, **more: Any) -> Ran:
    """Both APIs come to the same; the run through Bulk."""
    seed(emulator)
    rows_ran, rows, made = through("collections", operator, emulator, folder, **more)
    seed(emulator)
    ran, bulk_rows, bulk_made = through("bulk", operator, emulator, folder, **more)
    assert [job["state"] for job in emulator.jobs()], "nothing went through Bulk"
    assert differing(bulk_rows, rows) == []
    assert differing(bulk_made, made) == []
    assert ran.counts == rows_ran.counts
    assert ran.full["reject_reasons"] == rows_ran.full["reject_reasons"]
    assert ran.full["unchanged_reasons"] == rows_ran.full["unchanged_reasons"]
    assert sorted(map(repr, ran.rejects)) == sorted(map(repr, rows_ran.rejects))
    return ran


@pytest.mark.parametrize("nulls", ["ignore", "clear"])
@pytest.mark.parametrize(
    "how",
    [{}, {"existing": "update"}, {"external_id_field": None}, {"existing": "update", "match_email": True}],
    ids=["skip", "update", "plain", "by-email"],
)
@pytest.mark.parametrize("rule", ["off", "block"])
def test_creates_are_alike(rule: str, how: Record, nulls: str, emulator: EmulatorServer, tmp_path: Path) -> None:
    """Values, rejects and their reasons, duplicates, owners."""
    emulator.change_settings(duplicate_rule=rule)
    rows = dirty(250, seed=len(nulls))
    if "match_email" in how:
        # Rows of one lead are told apart by what comes first, and rows that Bulk cannot carry come last.
        rows = [row for n, row in enumerate(rows) if n == 3 or row["mail"] != "known@example.com"]

    def operator(folder: Path, **more: Any) -> LeadSyncOperator:
        return creating(rows, folder, fields=MAPPED, nulls=nulls, **how, **more)

    ran = assert_alike(operator, emulator, tmp_path)

    assert min(ran.counts.get(name, 0) for name in ("created", "rejected")) > 5


@pytest.mark.parametrize("rule", ["default", None, "01Q5g0000000002EAA"])
def test_assignment_rules_are_alike(rule: str | None, emulator: EmulatorServer, tmp_path: Path) -> None:
    """Bulk runs none of itself, and sObject Collections the active one: who owns the leads does not hang on that."""

    def operator(folder: Path, **more: Any) -> LeadSyncOperator:
        return creating(people(300), folder, assignment_rule=rule, existing="update", **more)

    assert_alike(operator, emulator, tmp_path)


@pytest.mark.parametrize("rule", ["default", None])
@pytest.mark.parametrize("ladder", [["Lead", "MQL", "SAL", "SQL"], None], ids=["ladder", "no-ladder"])
def test_moves_are_alike(ladder: list[str] | None, rule: str | None, emulator: EmulatorServer, tmp_path: Path) -> None:
    """Moved, beyond, converted, missing, filtered and twice."""
    rows = [{**row, "score": n % 7, "note": f'"{n}",\n'} for n, row in enumerate(people(350))]
    rows += [{**rows[150]}, {"key": "k-160", "score": 6, "note": "#N/A"}, {"key": None, "score": 6}]
    rows[-1]["last"] = rows[-2]["last"] = rows[-1]["company"] = rows[-2]["company"] = None
    rows[-1]["note"] = None

    def operator(folder: Path, **more: Any) -> LeadSyncOperator:
        return moving(
            rows,
            folder,
            ladder=ladder,
            score="score",
            threshold=2,
            fields={"note": "Description"},
            assignment_rule=rule,
            **more,
        )

    ran = assert_alike(operator, emulator, tmp_path)

    assert min(ran.counts.get(name, 0) for name in ("updated", "rejected", "filtered", "duplicate_keys")) > 0
