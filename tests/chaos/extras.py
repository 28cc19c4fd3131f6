"""Draws what came later than the usual schedule, by dice of its own: processes told to stop or frozen, and the like."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from tests.chaos import targets
from tests.chaos.drawing import Event, Record, Schedule, Trouble
from tests.chaos.targets import Moment

#: How likely each is in a schedule.
ODDS = {"term": 0.3, "freeze": 0.22, "detach": 0.08, "restart": 0.15, "doze": 0.5}
_MAIL = 0.2
#: What the first schedules of each kind have to have: they are what runs where only few do.
SHOWN = {
    "unique-bulk-0": ("term",),
    "upsert-collections-0": ("mail", "restart"),
    "plain-collections-0": ("freeze",),
    "stage-bulk-0": ("doze",),
    "plain-bulk-0": ("detach",),
    "unique-collections-0": ("restart",),
    "upsert-bulk-0": ("freeze",),
    "stage-collections-0": ("term",),
}
_DESCRIBED = ("GET", "/describe$")
_MADE = ("POST", "/jobs/ingest$")
_PACE = 0.6
_SMALL = 20  # rows to a page where there are to be many pages


def more(schedule: Schedule) -> Schedule:
    """Add to a schedule what its name stands for beside."""
    dice = random.Random(f"{schedule.name} beside")
    shown = SHOWN.get(schedule.name, ())
    draws: dict[str, Callable[[random.Random, Schedule], Trouble]] = {
        "term": _told_to_stop,
        "freeze": _frozen,
        "detach": _detached,
        "restart": _restarted,
        "doze": _dozing,
    }
    changed = replace(schedule, parameters={**schedule.parameters, "match_email": False, "pace": 0.0})
    for kind, share in ODDS.items():
        trouble = draws[kind](dice, schedule)
        # Once the task has been a success, there is less to go wrong.
        wanted, place = dice.random() < share, dice.choice((0, 0, 0, dice.randint(0, len(changed.troubles))))
        is_clean = dice.random() < 0.75
        if kind == "doze":
            wanted = wanted and schedule.parameters["deferrable"]
        if kind in shown:
            wanted, place = True, 0
        if wanted:
            troubles = [*changed.troubles[:place], trouble, *changed.troubles[place:]]
            changed = _fitting(kind, trouble, replace(changed, troubles=tuple(troubles)))
            changed = _without_rejects(changed) if kind == "detach" and is_clean else changed
    has_mail = dice.random() < _MAIL or "mail" in shown
    return _with_mail(dice, changed) if has_mail and schedule.mode != "stage" else changed


def _fitting(kind: str, trouble: Trouble, schedule: Schedule) -> Schedule:
    """A schedule whose parameters give a trouble something to strike."""
    changes: Record = {}
    if kind in ("detach", "freeze"):
        changes = {"batch_size": min(_SMALL, schedule.parameters["batch_size"])}
    if kind == "doze":
        changes = {"deferrable": True, "api": "bulk"}
    if kind == "term" and any(event.at.path == _DESCRIBED[1] for event in trouble.events):
        changes = {"pace": _PACE}
    return replace(schedule, parameters={**schedule.parameters, **changes})


def mapped(schedule: Schedule) -> Schedule:
    """Make of a schedule one of mapped tasks: troubles come while any of them is under way."""
    dice = random.Random(f"{schedule.name} beside")
    troubles = [_among_many(dice, schedule.api, len(schedule.rows)) for _ in range(dice.randint(2, 3))]
    parameters = {**schedule.parameters, "api": schedule.api, "match_email": False, "pace": 0.0}
    return replace(schedule, mode="mapped", troubles=tuple(troubles), parameters=parameters, reruns=0)


def _pages(schedule: Schedule, most: int = 200) -> int:
    size = min(most, int(schedule.parameters["batch_size"]))
    return min(5, max(1, len(schedule.rows) // size)) if schedule.api == "collections" else 1


def _slow(dice: random.Random, api: str) -> tuple[Record, ...]:
    """Faults by which pages take their time, so that there is something under way."""
    if api == "bulk" or dice.random() < 0.4:
        return ()
    return ({"effect": "delay", "seconds": 0.15, "path": "/composite/sobjects", "times": 40},)


def _settings(dice: random.Random, api: str) -> Record:
    return {"bulk_rate": dice.choice((None, 200.0, 400.0))} if api == "bulk" else {}


def _told_to_stop(dice: random.Random, schedule: Schedule) -> Trouble:
    """Before the export is read, while it is, or at any other point."""
    luck, wait = dice.random(), dice.random()
    anywhere = targets.moment(dice, schedule.api, schedule.mode, _pages(schedule))
    method, path = _DESCRIBED
    # Right before the first row is read, or while others are.
    at = Moment(method=method, path=path, phase="done", delay=wait * _PACE if wait > 0.3 else 0.0)
    if "term" in SHOWN.get(schedule.name, ()):
        at = replace(at, delay=0.0)
    elif luck < 0.25:
        at = Moment(delay=wait * 0.3)
    elif luck > 0.6:
        at = anywhere
    return Trouble(
        faults=_slow(dice, schedule.api),
        events=(Event(what="term", at=at),),
        settings=_settings(dice, schedule.api),
        goes_on=dice.random() < 0.5,
    )


def _frozen(dice: random.Random, schedule: Schedule) -> Trouble:
    """At any point, and woken while the next try is at work, or after it."""
    pages = _pages(schedule, most=_SMALL)
    at = targets.moment(dice, schedule.api, schedule.mode, pages)
    if "freeze" in SHOWN.get(schedule.name, ()):
        at = targets.working(dice, schedule.api, schedule.mode, pages)
    wake = targets.moment(dice, schedule.api, schedule.mode, pages) if dice.random() < 0.75 else None
    event = Event(what="freeze", at=at, wake=wake, lag=dice.choice((0.0, 0.5, 1.5)))
    return Trouble(faults=_slow(dice, schedule.api), events=(event,), settings=_settings(dice, schedule.api))


def _detached(dice: random.Random, schedule: Schedule) -> Trouble:
    """At a moment after which something is still to be recorded."""
    pages = _pages(schedule, most=_SMALL)
    at = replace(targets.working(dice, schedule.api, schedule.mode, pages), delay=0.0)
    events = [Event(what="detach", at=at)]
    if dice.random() < 0.4:
        # Nobody is left to notice it.
        events.append(Event(what="kill", at=replace(at, delay=0.01)))
    return Trouble(
        faults=_slow(dice, schedule.api),
        events=tuple(events),
        settings=_settings(dice, schedule.api),
        goes_on=dice.random() < 0.5,
    )


def _without_rejects(schedule: Schedule) -> Schedule:
    """A schedule without rejects: for these a file is open, whose loss would be noticed before that of the results."""
    there = {lead["External_Id__c"] for lead in schedule.standing}
    wanted = {key: row for key, row in schedule.wanted.items() if schedule.mode != "stage" or key in there}
    known = {key.lower() for key in wanted}
    rows = [row for row in schedule.rows if row["last"] is not None and row["key"].strip().lower() in known]
    parameters = {**schedule.parameters, "max_rejects": len(rows)}
    return replace(schedule, rows=tuple(rows), wanted=wanted, parameters=parameters)


def _restarted(dice: random.Random, schedule: Schedule) -> Trouble:
    """Cleared right after the start, or around the making of a job."""
    early, method_path = Moment(delay=dice.random() * 0.2), dice.choice((_MADE, _DESCRIBED))
    if schedule.api == "collections" or dice.random() < 0.4:
        return Trouble(events=(Event(what="restart", at=early),))
    method, path = method_path
    held: Record = {"effect": "delay", "seconds": dice.random(), "method": method, "path": path, "nth": 1}
    at = Moment(method=method, path=path, phase=dice.choice(("arrived", "done")))
    return Trouble(faults=(held,), events=(Event(what="restart", at=at),))


def _dozing(dice: random.Random, _schedule: Schedule) -> Trouble:
    return Trouble(settings={"bulk_delay": 1.0, "bulk_rate": 300.0}, doze=dice.choice((2.0, 4.0, 7.0)))


def _among_many(dice: random.Random, api: str, rows: int) -> Trouble:
    """What befalls whichever of the mapped tasks comes to a point first."""
    events = [Event(what="kill", at=targets.moment(dice, api, "upsert", 4)) for _ in range(dice.randint(1, 2))]
    if dice.random() < 0.3:
        events.append(Event(what="term", at=targets.moment(dice, api, "upsert", 4)))
    if dice.random() < 0.1:
        events.append(Event(what="restart", at=targets.moment(dice, api, "upsert", 4)))
    faults = [targets.fault(dice, api, "upsert", 4) for _ in range(dice.randint(0, 2))]
    if api == "bulk" and dice.random() < 0.5:
        method, path = _MADE
        # A job that is asked for, and not made: that of another task is not it.
        effect = dice.choice(("drop_before", "drop_then_commit"))
        faults.append({"effect": effect, "seconds": 0.3, "method": method, "path": path, "nth": dice.randint(1, 2)})
    settings = targets.settings(dice, rows) if api == "bulk" else {}
    return Trouble(faults=tuple(faults), events=tuple(events), settings=settings)


def _with_mail(dice: random.Random, schedule: Schedule) -> Schedule:
    """Let some rows' addresses belong to people who are there already."""
    there = {lead["External_Id__c"] for lead in schedule.standing}
    free = [key for key in schedule.wanted if key not in there]
    keys = dice.sample(free, k=min(len(free), dice.randint(5, 40)))
    by_mail = {key: dice.choice(("lead", "contact")) for key in keys}
    # A row that lacks what a new lead needs would do for one that is there.
    rows = [row if row["last"] is not None else {**row, "mail": f"zyx-bad-{row['mail']}"} for row in schedule.rows]
    parameters = {**schedule.parameters, "match_email": True}
    return replace(schedule, by_mail=by_mail, rows=tuple(rows), parameters=parameters)
