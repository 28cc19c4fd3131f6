"""What a schedule is, and how the export, the org before it and what goes wrong in which try are drawn beforehand."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.chaos import targets
from tests.chaos.targets import Moment

Record = dict[str, Any]

LADDER = ("Lead", "MQL", "SAL", "SQL")
STAGE = "MQL"
BELOW = (None, "Lead")
#: Seconds after a lost connection within which Salesforce may still commit, here.
LATEST_COMMIT = 1.0

What = Literal["kill", "limit", "expire", "abort", "fail", "restart", "term", "freeze", "wake", "detach", "hold"]


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happens once in a try.

    :param what: the worker is killed, or told to stop, the daily limit is reached, all tokens expire, the jobs under
        way are aborted or fail, somebody clears the task while it runs, the worker is frozen or wakes up again, or what
        holds the results is detached.
    :param at: when.
    :param wake: of what is frozen: the moment in the next try at which it wakes up, ``None`` for its end.
    :param lag: of what wakes up: seconds by which the supervisor is behind.
    :param then: of a table that is held: what follows once a sync waits for it.
    """

    what: What
    at: Moment
    wake: Moment | None = None
    lag: float = 0.0
    then: str = ""


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What goes wrong in one try.

    :param faults: rules for the emulator.
    :param settings: settings of the emulator for this try.
    :param goes_on: whether the task is cleared where the try before this one was a success.
    :param is_overlapped: whether a second run with the same export runs side by side with it.
    :param moved: places, as shares of the leads, of those that Sales moves to a later stage after this try.
    :param doze: seconds for which the triggerer is frozen, if the task is deferred.
    """

    faults: tuple[Record, ...] = ()
    events: tuple[Event, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    goes_on: bool = True
    is_overlapped: bool = False
    moved: tuple[tuple[float, str], ...] = ()
    doze: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """All that a seed stands for.

    :param rows: the export, with rows that are rejects, repetitions, or have no key.
    :param wanted: the rows that count, by key.
    :param standing: the leads that are there before.
    :param parameters: of the operator.
    :param is_parquet: the export's format; else JSON Lines.
    :param reruns: deliberate re-runs after the success.
    :param by_mail: keys of rows whose e-mail address a lead without a key, or a contact, has, and which of them.
    :param newer: the export of a newer run of the same Dag.
    :param way: when that runs: ``after`` the older one was killed, or ``beside`` it.
    :param head_start: seconds by which the older one is let in first where they run side by side.
    """

    name: str
    mode: str
    api: str
    rows: tuple[Record, ...]
    wanted: Mapping[str, Record]
    standing: tuple[Record, ...]
    parameters: Mapping[str, Any]
    is_parquet: bool
    troubles: tuple[Trouble, ...]
    reruns: int
    by_mail: Mapping[str, str] = field(default_factory=dict)
    newer: tuple[Record, ...] = ()
    way: str = ""
    head_start: float = 0.0


def usual(name: str, mode: str, api: str) -> Schedule:
    """The schedule of a name, without what came later; that has dice of its own, so that this stays as it is."""
    return _Draw(name, mode, api).schedule()


@dataclass
class _Draw:
    name: str
    mode: str
    api: str
    dice: random.Random = field(init=False)
    rows: list[Record] = field(default_factory=list)
    wanted: dict[str, Record] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.name)

    def schedule(self) -> Schedule:
        is_large = self.api == "bulk" and self.dice.random() < 0.1
        has_mail_keys = self.dice.random() < 0.15
        for number in range(2_500 if is_large else self.dice.randint(60, 500)):
            self._add_row(number, has_mail_keys=has_mail_keys)
        self.batch_size = self.dice.choice((7, 20, 60, 200))
        parameters = {
            "api": "auto" if is_large else self.api,
            "batch_size": self.batch_size,
            "concurrency": self.dice.randint(1, 4),
            "deferrable": self.api == "bulk" and self.dice.random() < 0.25,
            "max_rejects": len(self.rows),
        }
        return Schedule(
            name=self.name,
            mode=self.mode,
            api=self.api,
            rows=tuple(self.rows),
            wanted=self.wanted,
            standing=tuple(self._standing()),
            parameters=parameters,
            is_parquet=self.dice.random() < 0.5,
            troubles=tuple(self._trouble() for _ in range(self.dice.randint(1, 4))),
            reruns=int(self.dice.random() < 0.25),
        )

    def _add_row(self, number: int, *, has_mail_keys: bool) -> None:
        key = f"zyx-key-{number}@example.org" if has_mail_keys else f"K-{number}"
        row = {
            "key": key,
            "last": f"Zyx-Person-{number}",
            "company": f"Qqx-Works-{self.dice.randint(1, 9)}",
            "mail": f"zyx-person-{number}@example.org",
        }
        luck = self.dice.random()
        if luck < 0.02:
            self.rows.append({**row, "key": " "})
        elif luck < 0.05 and self.mode != "stage":
            self.rows.append({**row, "key": f"bad {key}", "last": None})
        self.rows.append(row)
        self.wanted[key] = row
        if luck > 0.95:
            self.rows.append({**row, "key": f" {key.lower()}", "last": "Zyx-Second"})

    def _standing(self) -> list[Record]:
        if self.mode == "plain":
            return []
        some = self.dice.sample(sorted(self.wanted), k=len(self.wanted) // 3)
        keys = [key for key in self.wanted if self.dice.random() < 0.97] if self.mode == "stage" else some
        return [self._known(key) for key in keys]

    def _known(self, key: str) -> Record:
        row = self.wanted[key]
        lead = {"External_Id__c": key, "LastName": row["last"], "Company": row["company"], "Email": row["mail"]}
        if self.mode == "stage":
            return {**lead, "Lead_Stage__c": self.dice.choice((None, None, *LADDER))}
        return lead if self.dice.random() < 0.5 else {**lead, "Company": "Qqx-Old"}

    def _trouble(self) -> Trouble:
        dice = self.dice
        pages = min(5, max(1, len(self.rows) // self.batch_size)) if self.api == "collections" else 1
        faults = tuple(targets.fault(dice, self.api, self.mode, pages) for _ in range(dice.randint(0, 3)))
        odds: dict[What, float] = {"kill": 0.6, "limit": 0.12, "expire": 0.2, "restart": 0.08}
        whats = [what for what, share in odds.items() if dice.random() < share]
        events = [Event(what=what, at=targets.moment(dice, self.api, self.mode, pages)) for what in whats]
        settings = targets.settings(dice, len(self.rows)) if self.api == "bulk" else {}
        if self.api == "bulk" and dice.random() < 0.25:
            events.append(Event(what=dice.choice(("abort", "fail")), at=targets.poll(dice)))
            settings["bulk_rate"] = dice.choice((100.0, 300.0))
        moved = [(self.dice.random(), self.dice.choice(("SAL", "SQL"))) for _ in range(8)]
        return Trouble(
            faults=faults,
            events=tuple(events),
            settings=settings,
            goes_on=self.dice.random() < 0.65,
            is_overlapped=self.dice.random() < 0.08 and self.mode != "plain",
            moved=tuple(moved) if self.mode == "stage" and self.dice.random() < 0.6 else (),
        )
