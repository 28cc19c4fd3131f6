"""Holds two runs of two data intervals against each other: the newer one's values stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from airflow_provider_sfleads.emulator.ids import RUN_AS_USER_ID
from tests.chaos.drawing import Record, Schedule
from tests.chaos.intervals import MARK
from tests.chaos.told import Told, settled


def undone(schedule: Schedule, told: Told) -> Iterator[str]:
    """All leads hold what the newest run of their row has, nothing was written back, and both runs say so."""
    newer = _counting(schedule)
    wanted = {**schedule.wanted, **newer}
    leads = {str(lead["External_Id__c"]): lead for lead in told.leads}
    found, expected = Counter(lead["LastName"] for lead in told.leads), Counter(row["last"] for row in wanted.values())
    expected.update(lead["LastName"] for key, lead in told.before.items() if key not in wanted)
    if found != expected:
        yield f"doubled: {found - expected}, lost: {expected - found}"
    wrong = [key for key, row in wanted.items() if key in leads and leads[key]["Company"] != row["company"]]
    if wrong:
        older = [key for key in wrong if key in newer]
        yield f"undone: {len(older)} of {len(newer)} leads do not have the newer run's values: {older[:5]}"
        yield from (f"wrong: {leads[key]}, not {wanted[key]}" for key in wrong if key not in newer)
    steps = [step for step in told.history if step["actor"] == RUN_AS_USER_ID and step["field"] == "Company"]
    back = [step for step in steps if _is_newer(step["old"]) and not _is_newer(step["new"])]
    if back:
        yield f"undone for a while: {len(back)} values of the newer run, such as {back[0]}"
    yield from _said(schedule, told, leads, steps)


def _counting(schedule: Schedule) -> dict[str, Record]:
    """The newer run's rows that count, by key."""
    found: dict[str, Record] = {}
    for row in schedule.newer:
        if row["last"] is not None and row["key"].strip():
            found.setdefault(row["key"].strip().lower(), row)
    return {row["key"]: row for row in found.values()}


def _is_newer(company: object) -> bool:
    return MARK in str(company)


def _said(schedule: Schedule, told: Told, leads: dict[str, Record], steps: list[Record]) -> Iterator[str]:
    """What the results say of a lead is so."""
    written = {(step["lead_id"], step["new"]) for step in steps}
    for report, rows in ((told.reports[-1], schedule.wanted), (told.overlapping[-1], _counting(schedule))):
        for line in settled(report):
            lead = leads.get(line["key"], {})
            if line["salesforce_id"] != lead.get("Id"):
                yield f"{line['key']} is {line['action']} as {line['salesforce_id']}, and is {lead.get('Id')}"
            company = rows[line["key"]]["company"]
            if line["action"] == "updated" and (lead.get("Id"), company) not in written:
                yield f"{line['key']} is said to be updated to {company!r}, and never was"
            if line["reason"] == "newer_run" and line["key"] not in _counting(schedule):
                yield f"{line['key']} is said to be a newer run's, and is not among its rows"
