"""Says at the end what was drawn and what of it struck, so that nobody takes a bed without troubles for a proof."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.chaos.drawing import Schedule
from tests.chaos.schedules import draw
from tests.chaos.told import Told

#: What the schedules of this session have left, by name, with their seconds.
ENDED = pytest.StashKey[list[tuple[str, Told, float]]]()


def _drawn(schedule: Schedule) -> Iterator[str]:
    """Name what is drawn in a schedule, each as often as it is."""
    for trouble in schedule.troubles:
        yield from (event.what for event in trouble.events)
        yield from ("wake" for event in trouble.events if event.what == "freeze" and event.wake is not None)
        yield from (fault["effect"] for fault in trouble.faults)
        happens = {"a second run": trouble.is_overlapped, "Sales moves": trouble.moved, "doze": trouble.doze}
        yield from (what for what, is_drawn in happens.items() if is_drawn)
    yield from ["a re-run"] * schedule.reruns
    if schedule.by_mail:
        yield "match_email"
    if schedule.way:
        yield f"newer {schedule.way}"
    if schedule.mode == "mapped":
        yield "mapped"
    if schedule.parameters["deferrable"]:
        yield "deferrable"


def summary(ended: list[tuple[str, Told, float]]) -> list[str]:
    """Lines for the end of a session.

    :param ended: what each schedule has left, and its seconds.
    """
    drawn = Counter(what for name, _, _ in ended for what in _drawn(draw(name)))
    struck = Counter[str]()
    for _, told, _ in ended:
        struck.update(told.struck)
    tries = sum(told.tries for _, told, _ in ended)
    kinds = Counter(name.rpartition("-")[0] for name, _, _ in ended)
    width = max(map(len, [*drawn, *struck]))
    return [
        f"{len(ended)} schedules, {tries} tries, {sum(s for _, _, s in ended) / len(ended):.1f} s each",
        ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items())),
        "A trouble strikes where it finds a try under way; faults are counted by rule, not by request.",
        *(f"{what:{width}}  drawn {drawn[what]:5,}  struck {struck[what]:5,}" for what in sorted({*drawn, *struck})),
    ]
