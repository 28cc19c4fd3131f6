"""What a live run would cost in API calls, by what a dry run of the same rows has found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from airflow_provider_sfleads.core.outcome import Action, Outcome, Reason
from airflow_provider_sfleads.core.report import Tally
from airflow_provider_sfleads.core.values import Refusal, convert
from airflow_provider_sfleads.pipeline.create_plan import CreatePlan
from airflow_provider_sfleads.pipeline.lookup import LeadLookup
from airflow_provider_sfleads.pipeline.plan import Candidate
from airflow_provider_sfleads.pipeline.stage_plan import StagePlan
from airflow_provider_sfleads.salesforce.collections import PageKind
from airflow_provider_sfleads.salesforce.wire import Call, Reply

Plan = CreatePlan | StagePlan

#: API calls that bring a job under way: it is created, takes its rows, and is closed.
_JOB_CALLS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a dry run has found, as far as the cost of a live run hangs on it.

    :param look_ups: API calls that its own look-ups took; where one was a job, with its polls.
    :param rule: API calls that asked for the assignment rule, before it was known whether there is anything to send.
    :param rest: the rows of the export, less those of ``parts``.
    :param groups: of a plan that sends right after each look-up: rows to send of each group that is looked up together.
    :param parts: the rows of each part that would go out in bulk jobs.
    :param again: API calls of the look-up of rows that bulk looks up, and then leaves to pages.
    :param unsure: why these numbers may be off by some.
    """

    look_ups: int
    rest: Tally
    rule: int = 0
    groups: Sequence[int] = ()
    parts: Sequence[Tally] = ()
    again: int = 0
    unsure: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a live run would cost where nothing goes wrong: nothing is refused, repeated or changed meanwhile.

    :param api: ``collections``, ``bulk``, or ``none`` where no row would be sent.
    :param steps: API calls by what they are for; those of ``polls`` are the least there can be.
    :param plus: what comes on top, and nobody knows how often.
    :param unsure: why the number may be off by some.
    """

    api: str
    steps: Mapping[str, int]
    plus: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()
    token_requests: int = field(default=1, init=False)

    @property
    def api_calls(self) -> int:
        """All of them, without the token request, which does not count as one."""
        return sum(self.steps.values())


def estimate(plan: Plan, found: Found, *, batch_size: int, concurrency: int, defers: bool = False) -> Estimate:
    """Reckon what a live run would cost.

    :param batch_size: records to a page.
    :param concurrency: pages in flight.
    :param defers: whether the task may be deferred while jobs run.
    """
    jobs = [load for part in found.parts for load in _loads(plan, part)]
    rows = found.groups if plan.fresh else rows_by_way(plan, found.rest)
    pages = sum(_pages(n, batch_size) for n in rows)
    kinds = {kind for kind, _, _ in jobs}
    steps = {
        "describe": 1,
        "look_ups": (found.look_ups if looks_up(plan) else 0) + found.again,
        "pages": pages,
        "assignment_rule": max(found.rule, any(kind.auto_assign == "TRUE" for kind in kinds)),
        "jobs": _JOB_CALLS * len(jobs),
        "polls": len(jobs),
        # One file of the rows that went well, and one of those that did not, where there are any.
        "job_results": sum((written > 0) + (met > 0) for _, written, met in jobs),
    }
    plus = []
    if jobs:
        plus.append("polls while jobs run, those of a look-up among them")
    if jobs and defers:
        plus.append("a token and a describe for each deferral")
    if plan.fresh and any(_pages(n, batch_size) > concurrency for n in found.groups):
        plus.append("a look-up for each page that has to wait for more than 10 s")
    return Estimate(
        api="bulk" if jobs else "collections" if pages else "none",
        steps={name: n for name, n in steps.items() if n},
        plus=tuple(plus),
        unsure=(*found.unsure, *_unsure(plan)),
    )


def looks_up(plan: Plan) -> bool:
    """Whether a live run asks Salesforce for leads before it sends any; a dry one also asks whom an insert would meet.

    A plain insert asks what became of rows that earlier runs of the task sent.
    """
    return not _meets(plan) or plan.recipe.by_email


def rows_by_way(plan: Plan, tally: Tally) -> list[int]:
    """How many rows a live run would send as new leads, and as known ones; those that an insert only meets are sent."""
    return [written + met for _, written, met in _loads(plan, tally)]


def look_up_calls(plan: Plan, rows: Iterable[Outcome]) -> int:
    """How many API calls the look-up of rows takes, once more; about, where leads are found by e-mail, too.

    The plan itself asks an org that counts.
    """
    if plan.recipe.by_email:
        return _pages(sum(1 for _ in rows), plan.group_size)
    org = _Org()
    group: list[Candidate] = []
    for row in rows:
        group.append(_candidate(plan, row))
        if len(group) == plan.group_size:
            _ask(plan, group, org)
            group = []
    _ask(plan, group, org)
    return org.calls


@dataclass(slots=True)
class _Org:
    """Has each lead that is asked for by its id, and none by another field."""

    calls: int = 0

    def send(self, call: Call) -> Reply:
        self.calls += 1
        if not isinstance(call.body, dict):
            return Reply(status=200, body={"done": True, "records": []})
        blank = dict.fromkeys(call.body["fields"])
        return Reply(status=200, body=[{**blank, "Id": each} for each in call.body["ids"]])


def _ask(plan: Plan, group: Sequence[Candidate], org: _Org) -> None:
    if group:
        list(
            plan.look_up(
                group, LeadLookup(send=org.send, conn_id="", lead=plan.rules.lead), lambda _value, _space: True
            )
        )


def _candidate(plan: Plan, row: Outcome) -> Candidate:
    external = plan.recipe.external
    value = convert(external, row.key) if external else None
    return Candidate(
        key=row.key,
        row={},
        record={} if external is None or isinstance(value, Refusal) else {external.name: value},
        lead_id=row.salesforce_id if plan.recipe.lead_id is not None else None,
        external_id=plan.compare(row.key),
    )


def _pages(rows: int, size: int) -> int:
    return -(-rows // size)


def _loads(plan: Plan, tally: Tally) -> list[tuple[PageKind, int, int]]:
    """What rows are sent as, how many of them would be written, and how many only meet their lead; no empty one."""
    met = tally.unchanged[Reason.ALREADY_EXISTS] if _meets(plan) else 0
    created, updated = tally.actions[Action.WOULD_CREATE], tally.actions[Action.WOULD_UPDATE]
    loads = [(Action.CREATED, created, met), (Action.UPDATED, updated, 0)]
    # Of several ways to update a lead the first is meant.
    kinds = {expected: kind for kind, expected in reversed(plan.ways)}
    return [(kinds[expected], written, only_met) for expected, written, only_met in loads if written + only_met]


def _meets(plan: Plan) -> bool:
    """Whether only the answer to its insert tells that a lead exists."""
    return isinstance(plan, CreatePlan) and plan.rules.external is not None and plan.rules.existing == "skip"


def _unsure(plan: Plan) -> tuple[str, ...]:
    if isinstance(plan, StagePlan) or not plan.recipe.by_email:
        return ()
    said = "with match_email, rows that share an address with an earlier row are looked up once more"
    if plan.rules.external is None:
        return (said,)
    return (said, "and the results do not say who was found by address and who by key")
