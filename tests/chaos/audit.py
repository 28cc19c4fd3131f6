"""Holds the org against the export, and the results, the report and the XCom against the org."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from airflow_provider_sfleads.emulator.ids import RUN_AS_USER_ID
from tests.chaos.audit_newer import undone
from tests.chaos.drawing import BELOW, STAGE, Record, Schedule
from tests.chaos.mapped import part_of
from tests.chaos.nights import last_night
from tests.chaos.told import SETTLED, Told, disagreements, settled, unaccounted
from tests.integration.support import results_of

Findings = Iterator[str]
Check = Callable[[Schedule, Told], Findings]
_UPDATING = ("upsert", "mapped", "write_back", "changed_only")


def audit(schedule: Schedule, told: Told) -> list[str]:
    """Everything that is not as it was promised."""
    if told.too_late:
        return [f"the machine was too busy, so this proves nothing: {told.too_late}"]
    checks: dict[str, tuple[Check, ...]] = {
        "stage": (_reports, _lines, _stages, _agreement),
        "newer": (_reports, undone),
        "mapped": (_reports, _lines, _leads, _agreement, _table),
        "write_back": (_reports, _lines, _leads, _agreement, _table),
        "changed_only": (_reports, _lines, _leads, _agreement, _table),
    }
    mine = checks.get(schedule.mode, (_reports, _lines, _leads, _agreement))
    return [*told.broken, *(found for check in mine for found in check(schedule, told))]


def _reports(schedule: Schedule, told: Told) -> Findings:
    """The counts add up, and what Airflow has is what lies beside the results."""
    last = _last(told)
    if told.pushed != last:
        yield f"XCom {told.pushed} is not report.json {last}"
    is_mapped = schedule.mode == "mapped"
    for index, report in enumerate(last):
        yield from unaccounted(report, len(part_of(schedule, index) if is_mapped else schedule.rows))
    for report in told.reports:
        yield from disagreements(report)
    for report in told.overlapping:
        yield from unaccounted(report, len(schedule.newer or schedule.rows))


def _last(told: Told) -> list[Record]:
    """The last report of the task, or of each of its instances."""
    return [*{report["results_path"].rstrip("/").rpartition("/")[0]: report for report in told.reports}.values()]


def _lines(schedule: Schedule, told: Told) -> Findings:
    """Each row read is in exactly one state, and it is the right one."""
    lines = [line for report in _last(told) for line in results_of(report)]
    found = Counter((line["key"].strip(), _state_of(line)) for line in lines)
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
    updates, last = schedule.mode in _UPDATING, last_night(schedule)
    # Who is found by e-mail is updated, or left as he is; a contact has no lead.
    others = {} if updates else {key: what for key, what in schedule.by_mail.items() if what == "lead"}
    contacts = {key for key, what in schedule.by_mail.items() if what == "contact"}
    mine = {key: row for key, row in schedule.wanted.items() if key not in others and key not in contacts}
    known = {lead["Email"]: lead for lead in told.known}
    found = Counter(lead["LastName"] for lead in told.leads)
    wanted = Counter(row["last"] for row in mine.values())
    wanted.update(known[schedule.wanted[key]["mail"]]["LastName"] for key in others)
    if found - wanted:
        yield f"doubled: {found - wanted}"
    if wanted - found:
        yield f"lost: {wanted - found}"
    by_name = {lead["LastName"]: lead for lead in told.leads}
    for key, row in mine.items():
        lead, before = by_name.get(row["last"]), told.before.get(key) or known.get(row["mail"])
        if lead is None:
            continue
        company = last[key]["company"] if updates or before is None else before["Company"]
        external = None if schedule.mode == "plain" else key
        if (lead["Company"], lead["Email"], lead["External_Id__c"]) != (company, row["mail"], external):
            yield f"wrong: {lead}"
        if before is not None and lead["OwnerId"] != before["OwnerId"]:
            yield f"reassigned: {key}"
    yield from _changes(told, {"Company"} if updates else set(), {"LastName", "External_Id__c"} if updates else set())


def _changes(told: Told, by_key: set[str], by_mail: set[str]) -> Findings:
    """Fields of leads that were there, changed without need.

    :param by_key: fields that change where a lead is found by its key.
    :param by_mail: those that change beside where it is found by e-mail.
    """
    steps = [step for step in told.history if step["actor"] == RUN_AS_USER_ID]
    for leads, allowed in ((told.before.values(), by_key), (told.known, by_key | by_mail)):
        ids = {lead["Id"] for lead in leads}
        changed = {step["field"] for step in steps if step["lead_id"] in ids} - allowed
        if changed:
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
    ids |= _by_mail(schedule, told)
    before = {lead["Id"] for lead in [*told.before.values(), *told.known]}
    made: Counter[str] = Counter()
    for report in [*told.reports, *told.overlapping]:
        for line in settled(report):
            name = schedule.wanted[line["key"]]["last"] if schedule.mode == "plain" else line["key"]
            if line["salesforce_id"] != ids.get(name):
                yield f"{line['key']} is {line['action']} as {line['salesforce_id']}, and is {ids.get(name)}"
            if line["action"] == "created":
                made[line["key"]] += 1
                if line["salesforce_id"] in before:
                    yield f"{line['key']} is said to be created, and was there before"
    new = len(told.leads) - len(before)
    # A lead counts as an execution's own from a second before its start: two executions may be that close here.
    is_single = len(told.reports) == len(told.pushed) and not told.overlapping
    # Of what was detached, another execution says only that it is there.
    is_whole = not told.struck["detach"]
    if is_whole and (sum(made.values()) < new or (is_single and sum(made.values()) != new)):
        yield f"{new} leads are new, and {sum(made.values())} are said to be created"


def _by_mail(schedule: Schedule, told: Told) -> dict[str, str]:
    """Ids of the leads that rows find by e-mail, by what names the row in the results."""
    ids = {lead["Email"]: lead["Id"] for lead in told.known}
    rows = {key: schedule.wanted[key] for key, what in schedule.by_mail.items() if what == "lead"}
    return {row["last"] if schedule.mode == "plain" else key: ids[row["mail"]] for key, row in rows.items()}


def _table(schedule: Schedule, told: Told) -> Findings:
    """The table of the write-back has one row a key, for each row that has its lead, with the lead's id."""
    if schedule.parameters.get("memory") == "results":
        return
    found = Counter(row["key"] for row in told.table)
    if found != Counter(schedule.wanted.keys()):
        wanted = Counter(schedule.wanted.keys())
        yield f"in the table, doubled: {found - wanted}, and missing: {wanted - found}"
    ids = {lead["External_Id__c"]: lead["Id"] for lead in told.leads}
    wrong = [row for row in told.table if row["salesforce_id"] != ids.get(row["key"])]
    if wrong:
        yield f"in the table, of other leads: {wrong}"
