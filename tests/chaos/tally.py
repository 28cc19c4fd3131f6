"""Says at the end what was drawn and what of it struck, so that nobody takes a bed without troubles for a proof."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypedDict

from tests.chaos.drawing import Schedule
from tests.chaos.schedules import draw

if TYPE_CHECKING:
    import pytest

#: The property of a test's report that holds what its schedule came to: processes hand on reports.
ENDED = "schedule"


class Ended(TypedDict):
    """What a schedule came to, in plain values.

    :param name: its name.
    :param tries: how many tries its tasks took.
    :param struck: how often each trouble struck.
    :param seconds: how long it took.
    """

    name: str
    tries: int
    struck: dict[str, int]
    seconds: float


def ended(reporter: pytest.TerminalReporter) -> list[Ended]:
    """Find what the schedules of this session have come to."""
    reports = [report for found in reporter.stats.values() for report in found]
    calls = [report for report in reports if getattr(report, "when", None) == "call"]
    return [value for report in calls for name, value in report.user_properties if name == ENDED]


def _drawn(schedule: Schedule) -> Iterator[str]:
    """Name what is drawn in a schedule, each as often as it is."""
    for trouble in schedule.troubles:
        yield from (f"{event.then} in the merge" if event.then else event.what for event in trouble.events)
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
    if schedule.mode == "changed_only":
        yield "three nights"
    if schedule.parameters["deferrable"]:
        yield "deferrable"


def summary(ended: list[Ended]) -> list[str]:
    """Lines for the end of a session."""
    drawn = Counter(what for each in ended for what in _drawn(draw(each["name"])))
    struck = Counter[str]()
    for each in ended:
        struck.update(each["struck"])
    tries = sum(each["tries"] for each in ended)
    kinds = Counter(each["name"].rpartition("-")[0] for each in ended)
    width = max(map(len, [*drawn, *struck]))
    return [
        f"{len(ended)} schedules, {tries} tries, {sum(each['seconds'] for each in ended) / len(ended):.1f} s each",
        ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items())),
        "A trouble strikes where it finds a try under way; faults are counted by rule, not by request.",
        *(f"{what:{width}}  drawn {drawn[what]:5,}  struck {struck[what]:5,}" for what in sorted({*drawn, *struck})),
    ]
