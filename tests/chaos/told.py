"""What a schedule leaves, and whether one report of it adds up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.chaos.drawing import Record
from tests.integration.support import COUNTS, folder_of, results_of

#: What becomes of a row that has its lead.
SETTLED = ("created", "updated", "unchanged")
_ACTIONS = {"duplicate_keys": "duplicate_key"}


@dataclass
class Told:
    """What a schedule has left, for the audit and for the search of what must not be told.

    :param struck: how often each kind of trouble struck.
    :param broken: what was not as promised when a try came to its end.
    :param reports: the last report of each execution, oldest first; of a mapped task, of each of its instances.
    :param pushed: what the task pushed at last; of a mapped task, each of its instances.
    :param overlapping: what runs beside it pushed.
    :param leads: of the end, as ``history``; ``before`` are those with a key, ``known`` those without one.
    :param table: rows of the write-back's table.
    """

    story: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    triggers: set[str] = field(default_factory=set)
    struck: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    reports: list[Record] = field(default_factory=list)
    pushed: list[Record] = field(default_factory=list)
    overlapping: list[Record] = field(default_factory=list)
    leads: list[Record] = field(default_factory=list)
    history: list[Record] = field(default_factory=list)
    before: dict[str, Record] = field(default_factory=dict)
    known: list[Record] = field(default_factory=list)
    table: list[Record] = field(default_factory=list)
    too_late: list[Record] = field(default_factory=list)
    tries: int = 0


def settled(report: Record) -> list[Record]:
    """The results' lines of rows that have their lead."""
    return [line for line in results_of(report) if line["action"] in SETTLED]


def disagreements(report: Record) -> Iterator[str]:
    """Say where a report and the results beside it are not of one mind."""
    counts = Counter(line["action"] for line in results_of(report))
    said = {_ACTIONS.get(name, name): report[name] for name in COUNTS}
    if report["read"] != sum(said.values()) or counts != Counter(said):
        yield f"report and results do not agree: {said} and {dict(counts)}, read {report['read']}"


def unaccounted(report: Record, rows: int) -> Iterator[str]:
    """Say what a success leaves unsaid.

    :param rows: how many the export has.
    """
    if not folder_of(report).exists():
        yield f"there are no results at {report['results_path']}"
    if report["read"] != rows:
        yield f"lost: read {report['read']} of {rows} rows"
    if report["not_sent"]:
        yield f"lost: {report['not_sent']} rows are not sent"
    yield from disagreements(report)
