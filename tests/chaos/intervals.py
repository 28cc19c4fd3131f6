"""Draws two runs of one Dag for two data intervals: what the newer one wrote, the older one leaves alone."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

from tests.chaos import targets
from tests.chaos.drawing import Event, Record, Schedule, Trouble, What
from tests.chaos.targets import Moment

_DAYS = [f"2026-11-{day}T02:00:00+00:00" for day in (15, 16, 17)]
#: What the older run and the newer one are about.
OLDER, NEWER = ({"from": start, "to": end} for start, end in pairwise(_DAYS))
#: In what the newer run writes, where it is not what the older one writes.
MARK = "Newer"
_STAGED = [("POST", "/jobs/ingest$"), ("POST", "/jobs/ingest$"), ("PUT", "/batches$"), ("PATCH", "/jobs/ingest/")]


def older_and_newer(schedule: Schedule) -> Schedule:
    """Make two runs of one."""
    dice = random.Random(f"{schedule.name} newer")
    older: list[Record] = []
    newer: list[Record] = []
    luck = 0.0
    for row in schedule.rows:
        # A row and its repetition stay together.
        luck = luck if _same(row, schedule) else dice.random()
        later = f"Qqx-{MARK}-{dice.randint(1, 9)}" if luck > 0.4 else row["company"]
        if luck >= 0.1:
            older.append(row)
        if luck < 0.1 or luck >= 0.3:
            newer.append({**row, "company": later})
    memory = dice.choice(("table", "both", "results"))
    way = dice.choice(("after", "beside"))
    if schedule.name.endswith("-0"):
        way = "after" if schedule.api == "bulk" else "beside"
    parameters = {
        **schedule.parameters,
        "api": schedule.api,
        "deferrable": False,
        "changed_only": memory != "table",
        "memory": memory,
        "match_email": False,
        "pace": 0.0,
    }
    troubles = (_killed(dice, schedule) if way == "after" else _crowded(dice, schedule),)
    return replace(
        schedule,
        mode="newer",
        rows=tuple(older),
        wanted={row["key"]: row for row in older if not _same(row, schedule)},
        newer=tuple(newer),
        way=way,
        parameters=parameters,
        troubles=troubles,
        head_start=dice.choice((0.0, 0.2, 0.6, -0.2)),
        reruns=0,
    )


def _same(row: Record, schedule: Schedule) -> bool:
    """Whether a row has the key of one that counts, and is not that one."""
    key = row["key"].strip()
    return key not in schedule.wanted or row is not schedule.wanted[key]


def _killed(dice: random.Random, schedule: Schedule) -> Trouble:
    if schedule.api == "bulk":
        method, path = dice.choice(_STAGED)
        nth = 1
    else:
        method, path, nth = "PATCH", "/composite/sobjects", dice.randint(1, 2)
    at = Moment(method=method, path=path, nth=nth, phase=dice.choice(("arrived", "done")))
    return Trouble(events=(Event(what="kill", at=at),))


def _crowded(dice: random.Random, schedule: Schedule) -> Trouble:
    events = []
    whats: tuple[What, ...] = ("kill", "term", "restart")
    if dice.random() < 0.4:
        what = dice.choice(whats)
        events.append(Event(what=what, at=targets.moment(dice, schedule.api, "upsert", 3)))
    slow: Record = {"effect": "delay", "seconds": dice.choice((0.05, 0.15, 0.3)), "path": "/composite/sobjects"}
    settings = {"bulk_delay": dice.choice((0.0, 0.5, 1.5)), "bulk_rate": dice.choice((None, 200.0))}
    return Trouble(
        faults=({**slow, "probability": 0.7, "seed": dice.randrange(1_000)},),
        events=tuple(events),
        settings=settings if schedule.api == "bulk" else {},
    )
