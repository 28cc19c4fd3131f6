"""Holds the org against the export, and the results, the report and the XCom against the org."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from airflow_provider_sfleads.emulator.ids import RUN_AS_USER_ID
from tests.chaos.course import SETTLED, Told
from tests.chaos.drawing import BELOW, STAGE, Record, Schedule
from tests.integration.support import COUNTS, results_of

_ACTIONS = {"duplicate_keys": "duplicate_key"}
Findings = Iterator[str]


def audit(schedule: Schedule, told: Told) -> list[str]:
    """Everything that is not as it was promised."""
    if told.too_late:
        return [f"the machine was too busy, so this proves nothing: {told.too_late}"]
    checks: tuple[Callable[[Schedule, Told], Findings], ...] = (
        _reports,
        _lines,
        _stages if schedule.mode == "stage" else _leads,
        _agreement,
    )
    return [*told.resent, *told.changed_by_rerun, *(found for check in checks for found in check(schedule, told))]


def _reports(schedule: Schedule, told: Told) -> Findings:
    """The counts add up, and what Airflow has is what lies beside the results."""
    last = told.reports[-1]
    if told.pushed != last:
        yield f"XCom {told.pushed} is not report.json {last}"
    if last["read"] != len(schedule.rows):
        yield f"read {last['read']} of {len(schedule.rows)} rows"
    if last["not_sent"]:
        yield f"lost: {last['not_sent']} rows are not sent"
    for report in [*told.reports, *told.overlapping]:
        counts = Counter(line["action"] for line in results_of(report))
        said = {_ACTIONS.get(name, name): report[name] for name in COUNTS}
        if report["read"] != sum(said.values()) or counts != Counter(said):
            yield f"report and results do not agree: {said} and {dict(counts)}, read {report['read']}"


def _lines(schedule: Schedule, told: Told) -> Findings:
    """Each row read is in exactly one state, and it is the right one."""
    found = Counter((line["key"].strip(), _state_of(line)) for line in results_of(told.reports[-1]))
    expected = Counter(_expected(schedule, told))
    if found != expected:
        yield f"rows are in these states: {dict(found - expected)}, and should be in: {dict(expected - found)}"


def _state_of(line: Record) -> str:
    if line["action"] in SETTLED:
        return "right"
    if line["action"] == "rejected":
        return str(line["error_code"])
    return f"{line['action']} {line['reason'] or ''}".strip()


def _expected(schedule: Schedule, told: Told) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for row in schedule.rows:
        key = row["key"].strip()
        if not key:
            yield key, "MISSING_ARGUMENT"
        elif key.lower() in seen:
            yield key, "duplicate_key"
        elif row["last"] is None:
            yield key, "REQUIRED_FIELD_MISSING"
        elif schedule.mode == "stage" and key not in told.before:
            yield key, "NOT_FOUND"
        else:
            yield key, "right"
        seen.add(key.lower())


def _leads(schedule: Schedule, told: Told) -> Findings:
    """No lead twice, none lost, none wrong, and no change that nobody asked for."""
    found = Counter(lead["LastName"] for lead in told.leads)
    wanted = Counter(row["last"] for row in schedule.wanted.values())
    if found - wanted:
        yield f"doubled: {found - wanted}"
    if wanted - found:
        yield f"lost: {wanted - found}"
    by_name = {lead["LastName"]: lead for lead in told.leads}
    updates = schedule.mode == "upsert"
    for key, row in schedule.wanted.items():
        lead, before = by_name.get(row["last"]), told.before.get(key)
        if lead is None:
            continue
        company = row["company"] if updates or before is None else before["Company"]
        external = None if schedule.mode == "plain" else key
        if (lead["Company"], lead["Email"], lead["External_Id__c"]) != (company, row["mail"], external):
            yield f"wrong: {lead}"
        if before is not None and lead["OwnerId"] != before["OwnerId"]:
            yield f"reassigned: {key}"
    old = {lead["Id"] for lead in told.before.values()}
    changed = {s["field"] for s in told.history if s["actor"] == RUN_AS_USER_ID and s["lead_id"] in old}
    if changed - ({"Company"} if updates else set()):
        yield f"changed without need: {changed}"


def _stages(_schedule: Schedule, told: Told) -> Findings:
    """Each lead is moved at most once, from below, and nothing else is written; none is left below."""
    steps = [step for step in told.history if step["actor"] == RUN_AS_USER_ID and step["field"] != "OwnerId"]
    moves = [step for step in steps if step["field"] == "Lead_Stage__c"]
    if len(moves) != len(steps):
        yield f"changed without need: {[step for step in steps if step not in moves]}"
    yield from (f"a step back: {step}" for step in moves if step["old"] not in BELOW or step["new"] != STAGE)
    twice = {lead_id: n for lead_id, n in Counter(step["lead_id"] for step in moves).items() if n > 1}
    if twice:
        yield f"moved twice: {twice}"
    left = [lead["External_Id__c"] for lead in told.leads if lead["Lead_Stage__c"] in BELOW]
    if left:
        yield f"lost: {left} are still below {STAGE}"
    if {lead["Id"] for lead in told.leads} != {lead["Id"] for lead in told.before.values()}:
        yield "leads were created"


def _agreement(schedule: Schedule, told: Told) -> Findings:
    """What the results say of a lead is so."""
    key_field = "LastName" if schedule.mode == "plain" else "External_Id__c"
    ids = {str(lead[key_field]): lead["Id"] for lead in told.leads}
    before = {lead["Id"] for lead in told.before.values()}
    made: Counter[str] = Counter()
    for report in [*told.reports, *told.overlapping]:
        for line in _settled(report):
            name = schedule.wanted[line["key"]]["last"] if schedule.mode == "plain" else line["key"]
            if line["salesforce_id"] != ids.get(name):
                yield f"{line['key']} is {line['action']} as {line['salesforce_id']}, and is {ids.get(name)}"
            if line["action"] == "created":
                made[line["key"]] += 1
                if line["salesforce_id"] in before:
                    yield f"{line['key']} is said to be created, and was there before"
    new = len(told.leads) - len(told.before)
    # A lead counts as an execution's own from a second before its start: two executions may be that close here.
    is_single = len(told.reports) == 1 and not told.overlapping
    if sum(made.values()) < new or (is_single and sum(made.values()) != new):
        yield f"{new} leads are new, and {sum(made.values())} are said to be created"


def _settled(report: Record) -> list[Record]:
    return [line for line in results_of(report) if line["action"] in SETTLED]
