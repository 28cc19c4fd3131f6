"""Seeded schedules of faults, kills, retries and clears, and after each an audit of the org against the export."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_sfleads.emulator.ids import RUN_AS_USER_ID
from airflow_provider_sfleads.hooks.salesforce import SalesforceLeadsHook
from airflow_provider_sfleads.operators.leads import SalesforceCreateLeadsOperator, SalesforceUpdateLeadStageOperator
from airflow_provider_sfleads.transport.settings import Retries
from tests.integration.support import COUNTS, FIELDS, Record, Rows, Task, forked, results_of, wait_for

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from airflow_provider_sfleads.operators.under_way import LoadSettings
    from airflow_provider_sfleads.transport import Client, Settings

pytestmark = pytest.mark.usefixtures("salesforce_conn")

SEEDS = int(os.environ.get("SFLEADS_SCHEDULES", "5"))
MODES = ("unique", "upsert", "plain", "stage")
LOST_ANSWERS = ("drop_before", "drop_after", "drop_then_commit", "truncate", "html_503")
LADDER = ["Lead", "MQL", "SAL", "SQL"]
MOVABLE = (None, "Lead")


class HastyHook(SalesforceLeadsHook):
    """Tries again at once: a schedule has many faults, and a test little time."""

    def _make_client(self, settings: Settings) -> Client:
        return super()._make_client(replace(settings, retries=Retries(attempts=3, base=0.002)))


class HastyCreate(SalesforceCreateLeadsOperator):
    """A create task that does not wait long."""

    def _settings(self, stop: threading.Event) -> LoadSettings:
        return replace(super()._settings(stop), hook=HastyHook())


class HastyMove(SalesforceUpdateLeadStageOperator):
    """A stage task that does not wait long."""

    def _settings(self, stop: threading.Event) -> LoadSettings:
        return replace(super()._settings(stop), hook=HastyHook())


@dataclass
class Schedule:
    """One task from its first try to the first that nothing disturbs, and what should be in Salesforce then.

    :param rows: the export, with rows that are duplicates, rejects and have no key.
    :param wanted: the rows that count, by key.
    """

    emulator: EmulatorServer
    folder: Path
    mode: str
    seed: int
    dice: random.Random = field(init=False)
    task: Task = field(default_factory=Task)
    story: list[str] = field(default_factory=list)
    rows: list[Record] = field(default_factory=list)
    wanted: dict[str, Record] = field(default_factory=dict)
    before: dict[str, Record] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.dice = random.Random(f"{self.mode}-{self.seed}")
        for number in range(self.dice.randint(60, 500)):
            self._add_row(f"K-{number}")
        some = self.dice.sample(sorted(self.wanted), k=len(self.wanted) // 3)
        known = sorted(self.wanted) if self.mode == "stage" else some if self.mode != "plain" else []
        self.emulator.seed_leads(
            [self._known(key) for key in known if self.mode != "stage" or self.dice.random() < 0.97]
        )
        self.before = {lead["External_Id__c"]: lead for lead in self.emulator.leads()}

    def _add_row(self, key: str) -> None:
        row: Record = {"key": key, "last": f"Last {key}", "company": f"Company {self.dice.randint(1, 9)}"}
        luck = self.dice.random()
        if luck < 0.02:
            self.rows.append({**row, "key": " "})
        elif luck < 0.05 and self.mode != "stage":
            self.rows.append({**row, "key": f"bad {key}", "last": None})
        self.rows.append(row)
        self.wanted[key] = row
        if luck > 0.95:
            self.rows.append({**row, "key": f" {key.lower()}", "last": "Second"})

    def _known(self, key: str) -> Record:
        lead = {"External_Id__c": key, "LastName": self.wanted[key]["last"], "Company": self.wanted[key]["company"]}
        if self.mode == "stage":
            return {**lead, "Lead_Stage__c": self.dice.choice((None, None, *LADDER))}
        return lead if self.dice.random() < 0.5 else {**lead, "Company": "Old"}

    def run(self) -> None:
        """Disturb some tries, then let one run in peace."""
        for _ in range(self.dice.randint(1, 4)):
            self._disturb()
            self._try()
            if self.mode == "stage" and self.dice.random() < 0.5:
                self._sales_moves_some_on()
        self.emulator.clear_faults()
        self.emulator.set_api_usage(0)
        wait_for(lambda: not self.emulator.emulator.journal._open)
        self.story.append("peace")
        ran = self.task.run(self.operator(Rows(self.rows)))
        self.story.append(str(ran.counts))
        assert ran.full["not_sent"] == 0 or self.mode == "plain", ran.error
        assert (ran.error is None) == (ran.full["not_sent"] == 0), ran.error

    def operator(self, export: Rows) -> HastyCreate | HastyMove:
        """The task as its author wrote it."""
        common: Record = {
            "task_id": "sync",
            "export": export,
            "key": "key",
            "results_path": str(self.folder),
            "external_id_field": None if self.mode == "plain" else "External_Id__c",
            "batch_size": self.dice.choice((7, 20, 60, 200)),
            "concurrency": self.dice.randint(1, 4),
            "max_rejects": len(self.rows),
        }
        if self.mode == "stage":
            return HastyMove(**common, ladder=LADDER)
        return HastyCreate(**common, fields=FIELDS, existing="update" if self.mode == "upsert" else "skip")

    def _disturb(self) -> None:
        self.emulator.clear_faults()
        for _ in range(self.dice.randint(0, 3)):
            late: Record = {"seconds": 0.02}
            faults: list[tuple[str, Record]] = [
                *((name, late) for name in LOST_ANSWERS),
                *((name, late) for name in LOST_ANSWERS),
                ("status", {"status": 429, "headers": {"Retry-After": "0"}}),
                ("status", {"status": 500}),
                ("invalid_session", {}),
                ("bad_request", {}),
                ("lock", {"key": rf"{self.dice.randint(0, 9)}$", "count": 1}),
            ]
            effect, more = self.dice.choice(faults)
            path = self.dice.choice(("/composite/sobjects", "/composite/sobjects", "/query", "/describe"))
            odds = {"nth": self.dice.randint(1, 6)} if self.dice.random() < 0.5 else {"times": self.dice.randint(1, 9)}
            chance = {"probability": self.dice.choice((0.3, 1.0)), "seed": self.seed}
            rule: Record = {**more, **odds, **chance, "path": path} if effect != "lock" else more
            self.story.append(f"{effect} {rule}")
            self.emulator.add_fault(effect, **rule)
        if self.dice.random() < 0.3:
            self.emulator.expire_tokens()

    def _try(self) -> None:
        luck, at = self.dice.random(), self.dice.randrange(len(self.rows))
        if luck < 0.2:
            self.story.append(f"limit at {at}")
            self._said(self.operator(Rows(self.rows, before=at_row(at, partial(self.emulator.set_api_usage, 115_000)))))
            self.emulator.set_api_usage(0)
        elif luck < 0.45:
            self.story.append(f"killed at {at}")
            self._killed(at_row(at, _die))
        elif luck < 0.75:
            seconds = self.dice.random() * 0.4
            self.story.append(f"killed after {seconds}")
            self._killed(at_row(0, partial(_die_after, seconds)))
        else:
            self._said(self.operator(Rows(self.rows)))

    def _killed(self, before: Callable[[int], object]) -> None:
        was_killed = forked(self.operator(Rows(self.rows, before=before)), self.task)
        self.story.append("killed" if was_killed else "came to its end")

    def _said(self, operator: HastyCreate | HastyMove) -> None:
        ran = self.task.run(operator)
        self.story.append(f"{ran.counts if ran.report else None} {ran.error and type(ran.error).__name__}")
        if ran.report:
            assert len(ran.rows) == len(self.rows)

    def _sales_moves_some_on(self) -> None:
        wait_for(lambda: not self.emulator.emulator.journal._open)
        for lead in self.dice.sample(self.emulator.leads(), k=5):
            if lead["Lead_Stage__c"] not in ("SQL", "SAL"):
                self.emulator.edit_lead(lead["Id"], Lead_Stage__c="SAL")

    def executions(self) -> list[Record]:
        """The last report of each execution."""
        found = [json.loads(path.read_text()) for path in sorted(self.folder.glob("*/*/*/*/*/report.json"))]
        for report in found:
            assert report["read"] == sum(report[name] for name in COUNTS)
            assert len(results_of(report)) == report["read"]
        assert found[-1]["read"] == len(self.rows)
        return found


def at_row(number: int, act: Callable[[], None]) -> Callable[[int], None]:
    """Do something just before a row is read; for :class:`Rows`."""

    def before(at: int) -> None:
        if at == number:
            act()

    return before


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_after(seconds: float) -> None:
    timer = threading.Timer(seconds, _die)
    timer.daemon = True
    timer.start()


def audit_creates(schedule: Schedule) -> None:
    """No lead twice, none lost, none wrong, each counted once."""
    found = schedule.emulator.leads()
    by_key = {lead["External_Id__c"]: lead for lead in found}
    assert len(by_key) == len(found)
    assert set(by_key) == set(schedule.wanted)
    updates = schedule.mode == "upsert"
    for key, lead in by_key.items():
        row, before = schedule.wanted[key], schedule.before.get(key)
        company = row["company"] if updates or before is None else before["Company"]
        assert (lead["LastName"], lead["Company"]) == (row["last"], company)
        if before is not None:
            assert lead["OwnerId"] == before["OwnerId"]
    reports = schedule.executions()
    # A lead counts as this execution's own from a second before its start: two executions may be that close here.
    made = sum(report["created"] for report in reports)
    assert made == len(found) - len(schedule.before) or (len(reports) > 1 and made > len(found) - len(schedule.before))
    old = sum(lead["Company"] != schedule.wanted[key]["company"] for key, lead in schedule.before.items())
    assert sum(report["updated"] for report in reports) <= old * updates
    lines = {row["key"]: row for row in results_of(reports[-1]) if row["action"] in ("created", "unchanged", "updated")}
    assert {key: line["salesforce_id"] for key, line in lines.items()} == {k: lead["Id"] for k, lead in by_key.items()}


def audit_plain(schedule: Schedule) -> None:
    """No lead twice; a row without a lead is said to be without, and one of which nothing is known is said so."""
    names = Counter(lead["LastName"] for lead in schedule.emulator.leads())
    assert set(names.values()) <= {1}
    assert set(names) <= {row["last"] for row in schedule.wanted.values()}
    reports = schedule.executions()
    lines = {row["key"]: row for row in results_of(reports[-1]) if row["action"] != "duplicate_key"}
    ids = {lead["LastName"]: lead["Id"] for lead in schedule.emulator.leads()}
    for key, row in schedule.wanted.items():
        line = lines[key]
        if line["action"] in ("created", "unchanged"):
            assert line["salesforce_id"] == ids[row["last"]]
        else:
            assert (line["action"], line["reason"]) == ("not_sent", "outcome_unknown")


def audit_stage(schedule: Schedule) -> None:
    """Each lead is moved once and from below, and nothing else is written."""
    steps = [step for step in schedule.emulator.history() if step["actor"] == RUN_AS_USER_ID]
    assert {(step["field"], step["new"]) for step in steps if step["field"] != "OwnerId"} <= {("Lead_Stage__c", "MQL")}
    moves = [step for step in steps if step["field"] == "Lead_Stage__c"]
    assert {step["old"] for step in moves} <= set(MOVABLE)
    assert max(Counter(step["lead_id"] for step in moves).values(), default=0) <= 1
    assert not [lead for lead in schedule.emulator.leads() if lead["Lead_Stage__c"] in MOVABLE]
    assert len(schedule.emulator.leads()) == len(schedule.before)
    reports = schedule.executions()
    missing = len(schedule.wanted) - len(schedule.before)
    assert reports[-1]["reject_reasons"].get("NOT_FOUND", 0) == missing


AUDITS = {"unique": audit_creates, "upsert": audit_creates, "plain": audit_plain, "stage": audit_stage}


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_doubled_lost_or_wrong_whatever_happens(
    emulator: EmulatorServer, tmp_path: Path, mode: str, seed: int
) -> None:
    """For every schedule of lost answers, refusals, kills, retries and clears (set SFLEADS_SCHEDULES for more)."""
    schedule = Schedule(emulator, tmp_path, mode, seed)
    try:
        schedule.run()
        AUDITS[mode](schedule)
    except BaseException as error:
        error.add_note("\n".join(schedule.story))
        raise
