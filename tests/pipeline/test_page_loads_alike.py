"""Rows that go by pages come to what they come to one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.core.mapping import FieldMap
from airflow_provider_sfleads.core.outcome import Action
from airflow_provider_sfleads.core.stage import StageRule
from airflow_provider_sfleads.pipeline.plan import Candidate, Settled
from airflow_provider_sfleads.pipeline.prepare import prepare
from tests.pipeline.org import LONG_AGO, lead_id
from tests.pipeline.paging import EventfulOrg, Memory, Plan, Try, content, shown
from tests.pipeline.runs import LADDER, EarlierTry, create_request, ground, stage_request, taken_in

COLUMNS = {"name": "LastName", "firm": "Company", "mail": "Email", "points": "Score__c", "nick": "FirstName"}
CREATES = ("skip", "update", "plain", "number", "number update", "email", "email update")
MOVES = ("by id", "by key", "by both", "by email")
LOST = ("drop_before", "drop_after", "drop_locked")
HALTS = ("lost_before", "lost_after", "down", "limit")
DEEDS = ("converts", "moves", "makes", "makes_same", "deletes", "locks")


@dataclass(frozen=True)
class Case:
    """What a task is asked for, what it finds, and what goes wrong."""

    kind: str
    rows: Sequence[dict[str, Any]]
    leads: Sequence[dict[str, Any]]
    events: dict[int, str]
    batch_size: int = 200
    concurrency: int = 1
    size: int = 3
    ladder: bool = True
    dry_run: bool = False
    lacks: str = ""
    wording: str = "plain"
    apart: dict[int, bool] = field(default_factory=dict)

    @property
    def is_alike(self) -> bool:
        """Whether it is for sure what each row comes to.

        Where a request is lost, it matters which rows it carries; where sending ends, which requests came before; and
        of rows with one e-mail address, which was looked up first.
        """
        faults = {event for event in self.events.values() if event in LOST + HALTS}
        has_one_kind = self.kind not in ("update", "number update", "email update")
        may_halt = bool(faults.intersection(HALTS)) or (self.kind in ("plain", "email") and len(self.events) > 2)
        if (any(self.apart.values()) and (faults or "email" in self.kind)) or (faults and "email" in self.kind):
            return False
        if self.lacks and self.events:
            # What happens when a row is sent does not happen where its refusal was known before.
            return False
        return not may_halt or (self.concurrency == 1 and has_one_kind)

    def plan(self) -> Plan:
        """The plan."""
        if self.kind in CREATES:
            key = "Number_Id__c" if "number" in self.kind else "External_Id__c"
            is_plain = self.kind in ("plain", "email")
            request = create_request(
                existing="update" if "update" in self.kind else "skip",
                external_id_field=None if is_plain else key,
                match_email="email" in self.kind,
                dry_run=self.dry_run,
                field_map=FieldMap(columns=COLUMNS),
            )
            return prepare(request, ground(("id", *COLUMNS)))
        request = stage_request(
            rule=StageRule(stage="MQL", score="score", threshold=Decimal(80), ladder=LADDER if self.ladder else None),
            lead_id="lead" if self.kind in ("by id", "by both") else None,
            external_id_field=None if self.kind == "by id" else "External_Id__c",
            match_email=self.kind == "by email",
            dry_run=self.dry_run,
            field_map=FieldMap(columns={"mail": "Email"}) if self.kind == "by email" else FieldMap(),
        )
        return prepare(request, ground(("id", "lead", "score", "mail")))

    def org(self) -> EventfulOrg:
        """The org that it finds."""
        org = EventfulOrg(lacks=self.lacks, wording=self.wording)
        for lead in self.leads:
            org.add(**lead, ConvertedContactId="003000000000001AAA" if lead["IsConverted"] else None)
        marks = {f"Ray {number}": event for number, event in self.events.items()}
        marks |= {lead_id(number + 1): event for number, event in self.events.items() if number < len(self.leads)}
        org.events = {mark: [event] for mark, event in marks.items()}
        return org

    def attempt(self, org: EventfulOrg, folder: Path, earlier: EarlierTry | None = None) -> Try:
        """A try, with the rows taken in."""
        plan, memory, rows = self.plan(), Memory(), list[Candidate]()
        others: list[Settled] = []
        rows += taken_in(plan, memory, [dict(row) for row in self.rows], others.append)
        folder.mkdir()
        return Try(
            plan=plan,
            rows=rows,
            memory=memory,
            send=org.send,
            folder=folder,
            apart=[self.apart.get(place, False) for place in range(len(rows))],
            size=self.size,
            batch_size=self.batch_size,
            concurrency=self.concurrency,
            dry_run=self.dry_run,
            earlier=earlier,
        )


def drawn(seed: int) -> Case:
    """Any case: most rows are good, most have a key of their own, and little goes wrong at once."""
    chance = Random(seed)
    kind = chance.choice([*CREATES, *MOVES])
    numbers = [str(number) for number in range(40)] + ["7.0", "6.5", "many"]
    keys = numbers if "number" in kind else [f"k{number}" for number in range(30)] + ["K1", "x" * 37]
    creates = kind in CREATES
    rows = [_row(chance, number, keys, creates=creates) for number in range(chance.randint(1, 24))]
    leads = [_lead(chance, number) for number in range(chance.randint(0, 14))]
    # What an org has with a unique key.
    for name in ("External_Id__c", "Number_Id__c"):
        for lead, key in zip(leads, chance.sample(range(30), len(leads)), strict=True):
            if chance.random() < 0.6:
                lead[name] = Decimal(key) if name == "Number_Id__c" else f"k{key}"
    wrong = chance.choice([(), (), DEEDS, LOST, HALTS, (*DEEDS, *LOST), (*DEEDS, *LOST, *HALTS)])
    events = {chance.randrange(24): chance.choice(wrong) for _ in range(chance.randint(1, 4))} if wrong else {}
    is_split = chance.random() < 0.2
    return Case(
        kind=kind,
        rows=rows,
        leads=leads,
        events=events,
        batch_size=chance.choice([1, 2, 3, 5, 200]),
        concurrency=chance.choice([1, 1, 2, 3]),
        size=chance.randint(1, 7),
        ladder=chance.random() < 0.7,
        dry_run=chance.random() < 0.1,
        lacks="FirstName" if chance.random() < 0.1 else "",
        wording=chance.choice(["plain", "plain", "local", "bare", "unknown"]),
        apart={place: chance.random() < 0.2 for place in range(24)} if is_split else {},
    )


def _row(chance: Random, number: int, keys: Sequence[str], *, creates: bool) -> dict[str, Any]:
    def mostly(good: object, *bad: object) -> object:
        return chance.choice(bad) if chance.random() < 0.08 else good

    key = chance.choice(keys) if chance.random() < 0.2 else keys[number]
    mail = chance.choice([None, None, "a@b.org", "A@b.org", "c@d.org", f"{number}@b.org", mostly(None, "no address")])
    if not creates:
        lead = mostly(lead_id(chance.randint(1, 16)), "bad", "")
        return {"id": key, "mail": mail, "lead": chance.choice([None, lead, lead]), "score": mostly(90, 10, None)}
    return {
        "id": key,
        "mail": mail,
        "name": mostly(f"Ray {number}", None, "x" * 81),
        "firm": mostly("Acme", "poison", None, "x" * 256),
        "points": mostly(chance.choice([None, Decimal(5), "7.50", "1e2"]), "few"),
        "nick": chance.choice([None, None, "R", mostly(None, "y" * 41)]),
    }


def _lead(chance: Random, number: int) -> dict[str, Any]:
    return {
        "External_Id__c": None,
        "LastName": chance.choice(["Old", f"Ray {number}"]),
        "Company": "Acme",
        "Email": chance.choice([None, "a@b.org", "c@d.org", f"{number}@b.org"]),
        "Lead_Stage__c": chance.choice([*LADDER, "New", "New", None, "Odd"]),
        "IsConverted": chance.random() < 0.1,
    }


cases = st.integers(0, 2**64 - 1).map(drawn)


def no_lead_twice(org: EventfulOrg) -> None:
    """Check that no key that the run has written is there twice."""
    for name in ("External_Id__c", "Number_Id__c"):
        own = {str(lead.get(name)).lower() for lead in org.live() if lead["CreatedDate"] != LONG_AGO}
        held = Counter(str(lead[name]).lower() for lead in org.live() if lead.get(name) is not None)
        assert all(held[key] <= 1 for key in own)


def each_row_made_one_lead_at_most(org: EventfulOrg) -> None:
    """Check that no row was sent twice: each has a name of its own."""
    made = Counter(lead["LastName"] for lead in org.leads.values() if lead["CreatedDate"] != LONG_AGO)
    assert all(count == 1 for count in made.values())


@settings(deadline=None, max_examples=100)
@given(cases)
def test_every_row_comes_to_what_it_comes_to_one_by_one(case: Case) -> None:
    """The same outcomes, and the same leads; and where faults leave that open, each row once, and no lead twice."""
    with TemporaryDirectory() as folder:
        org, other = case.org(), case.org()
        known = len(org.leads)
        pages = case.attempt(org, Path(folder) / "pages")
        pages.by_page()
        pages.audit()
        no_lead_twice(org)
        each_row_made_one_lead_at_most(org)
        created = {outcome.key for outcome in pages.ledger.outcomes if outcome.action is Action.CREATED}
        # An upsert may also make a lead anew that was there, and is deleted meanwhile.
        assert created <= set(pages.announced) or "deletes" in case.events.values()
        rows = case.attempt(other, Path(folder) / "rows")
        rows.by_row()
        rows.audit()
        assert pages.pages is not None
        # What is put apart comes last, when sending has ended.
        is_cut_short = pages.pages.delivery.halted is not None and any(pages.pages.apart.values())
        if case.is_alike and not is_cut_short:
            mine = {key: shown(outcome, org.leads, known) for key, outcome in pages.by_key().items()}
            assert mine == {key: shown(outcome, other.leads, known) for key, outcome in rows.by_key().items()}
            assert content(org) == content(other)
            assert case.lacks or set(pages.announced) == set(rows.announced)
            assert Counter(row["id"] for row in pages.ledger.rejects) == Counter(r["id"] for r in rows.ledger.rejects)
