"""The executions of a task instance, and what people are shown of them together.

A task that is cleared runs once more as a new execution, with a report of its own; so does one whose worker dies after
its account was closed and before Airflow heard of it. What the executions before it did to Salesforce is still done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_provider_sfleads.core.report import COUNTS, SyncReport, Tally

#: What was done to Salesforce, and what that cost: it adds up over the live executions. Every other count says how the
#: rows of the export stand, and the newest execution alone knows that.
ADDED_UP = ("created", "updated", "api_calls")
_TOLD = (*COUNTS, "api_calls")

Entry = Mapping[str, Any]
"""What a report's ``executions`` holds of one execution: its name, whether it was dry, its counts."""


def entry_of(execution: str, report: SyncReport, *, cleared: bool | None = None) -> Entry:
    """What is told of an execution, by its report.

    :param cleared: whether somebody cleared the task for it; ``None`` where that is not known.
    """
    known = {} if cleared is None else {"cleared": cleared}
    return {"execution": execution, "dry_run": report.dry_run, **known, **counts_of(report)}


def entry_of_rows(execution: str, tally: Tally, *, dry_run: bool) -> Entry:
    """What is told of an execution that left no report, by its rows; what it cost, nobody knows."""
    return {"execution": execution, "dry_run": dry_run, **tally.counts(), "api_calls": 0}


def gathered(reports: Iterable[tuple[str, SyncReport]]) -> tuple[Entry, ...]:
    """The executions that some reports tell of, oldest first.

    :param reports: names of executions and their reports, newest first: what a newer one tells of an older one goes
        before what that one told itself, since it may have counted anew what the records lack.
    """
    known: dict[str, Entry] = {}
    for name, report in reports:
        for entry in (*report.executions, entry_of(name, report)):
            known.setdefault(str(entry["execution"]), entry)
    return in_order(known.values())


def in_order(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Executions, oldest first: they are named after their beginning."""
    return tuple(sorted(entries, key=lambda entry: str(entry["execution"])))


def shown(report: SyncReport) -> dict[str, int]:
    """The counts that people are shown of a task instance, by their names in the report.

    Dry runs add nothing, neither to live executions nor to each other.
    """
    return (None if report.dry_run else live_total(report.executions)) or counts_of(report)


def counts_of(report: SyncReport) -> dict[str, int]:
    """The counts of a report itself, of its one execution."""
    return {name: int(getattr(report, name)) for name in _TOLD}


def live_total(entries: Sequence[Entry]) -> dict[str, int] | None:
    """The counts that people are shown of live executions, oldest first; ``None`` where all were dry."""
    live = _live(entries)
    if not live:
        return None
    return {name: sum(entry[name] for entry in live) if name in ADDED_UP else live[-1][name] for name in _TOLD}


def again(report: SyncReport) -> str:
    """How often a task instance ran live anew, such as ``cleared once``; empty where it did not, or ran dry now."""
    return "" if report.dry_run else how_often(report.executions)


def how_often(entries: Sequence[Entry]) -> str:
    """The same of executions, oldest first."""
    later = _live(entries)[1:]
    cleared = sum(bool(entry.get("cleared", True)) for entry in later)
    told = (("cleared", cleared), ("tried again", len(later) - cleared))
    return ", ".join(f"{word} {_times(n)}" for word, n in told if n)


def in_all(report: SyncReport) -> str:
    """What the executions of a task instance did together, in words; empty where there is but one to tell of."""
    words, counts = again(report), shown(report)
    if not words:
        return ""
    return f"{words}: {counts['created']:,} created and {counts['updated']:,} updated in all"


def _live(entries: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if not entry["dry_run"]]


def _times(n: int) -> str:
    return {1: "once", 2: "twice"}.get(n, f"{n:,} times")
