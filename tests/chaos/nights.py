"""Draws syncs that write back, and three nights with ``changed_only``: some rows change, and change back."""

from __future__ import annotations

import random
from dataclasses import replace

from tests.chaos.drawing import Event, Record, Schedule, Trouble
from tests.chaos.targets import Moment

_WRITES = {"collections": ("PATCH", "/composite/sobjects"), "bulk": ("PUT", "/batches$")}
_ENDS = ("kill", "kill", "cut", "wait")


def written_back(schedule: Schedule) -> Schedule:
    """Make of a schedule one that writes back, and whose table is held in a try or two."""
    dice = random.Random(f"{schedule.name} warehouse")
    method, path = _WRITES[schedule.api]
    troubles = [replace(each, is_overlapped=each.is_overlapped or dice.random() < 0.2) for each in schedule.troubles]
    for _ in range(dice.randint(1, 2)):
        # The first try with something to send; later ones may have nothing left.
        at = Moment(method=method, path=path, phase="arrived")
        then = "kill" if schedule.name.endswith("-0") else dice.choice(_ENDS)
        held = Trouble(events=(Event(what="hold", at=at, then=then),), goes_on=dice.random() < 0.65)
        troubles.insert(0 if schedule.name.endswith("-0") else dice.randint(0, len(troubles)), held)
    parameters = {**schedule.parameters, "match_email": False, "memory": "table"}
    return replace(schedule, mode="write_back", by_mail={}, troubles=tuple(troubles), parameters=parameters)


def changing(schedule: Schedule) -> Schedule:
    """Make of a schedule its second night, between two that have other values in some of its rows."""
    dice = random.Random(f"{schedule.name} nights")
    others: dict[str, str] = {}
    for key, row in schedule.wanted.items():
        others[key] = f"Qqx-Before-{dice.randint(1, 9)}" if dice.random() < 0.5 else row["company"]
    before = tuple({**row, "company": others.get(row["key"], row["company"])} for row in schedule.rows)
    memory = dice.choice(("table", "results"))
    found = written_back(schedule) if memory == "table" else replace(schedule, by_mail={})
    parameters = {**found.parameters, "match_email": False, "memory": memory}
    return replace(found, mode="changed_only", newer=before, parameters=parameters)


def last_night(schedule: Schedule) -> dict[str, Record]:
    """The rows that count, by key, as the last night had them."""
    if schedule.mode != "changed_only":
        return dict(schedule.wanted)
    there = {row["last"]: row for row in schedule.newer}
    return {key: there[row["last"]] for key, row in schedule.wanted.items()}
