"""What a live run would do, told by a dry one: for people in its log, for programs in ``preview.json``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from airflow_provider_sfleads.core.outcome import Action, Outcome, Reason
from airflow_provider_sfleads.core.report import Tally
from airflow_provider_sfleads.core.values import Refusal, convert
from airflow_provider_sfleads.pipeline.create_plan import CreatePlan
from airflow_provider_sfleads.pipeline.lookup import LeadLookup
from airflow_provider_sfleads.pipeline.plan import Candidate
from airflow_provider_sfleads.pipeline.stage_plan import StagePlan
from airflow_provider_sfleads.salesforce.collections import PageKind
from airflow_provider_sfleads.salesforce.wire import ApiUsage, Call, Reply

_ROUTES = {"collections": "sObject Collections", "bulk": "Bulk API 2.0"}
_STEPS = {
    "describe": "describe",
    "look_ups": "look-ups",
    "pages": "pages",
    "assignment_rule": "assignment rule",
    "jobs": "to begin jobs",
    "polls": "polls at least",
    "job_results": "to collect results",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The preview of a live run.

    :param counts: the dry run's report counts, by their names there.
    :param changes: the first rows that would change.
    :param fields: Lead fields that would be written, of each row those for which it has a value.
    :param estimate: the API calls of a live run.
    :param api_reason: why that API would be taken.
    :param api_calls: what the dry run itself took.
    :param token_requests: likewise.
    :param usage: the org's API usage, where the org tells.
    :param ceiling: share of the daily requests above which a run sends no further write.
    :param missing: why rows are missing from the preview; ``None`` where it is whole.
    """

    counts: Mapping[str, int]
    changes: Sequence[Outcome]
    fields: Sequence[str]
    estimate: Estimate
    api_reason: str
    api_calls: int
    token_requests: int
    usage: ApiUsage | None
    ceiling: float
    missing: str | None = None

    def as_json(self) -> dict[str, object]:
        """Return the preview as plain JSON values; the rows with their keys, as in the results."""
        estimate = self.estimate
        return {
            "counts": dict(self.counts),
            "missing": self.missing,
            "fields": list(self.fields),
            "rows": [
                {name: getattr(row, name) for name in ("key", "action", "salesforce_id", "old_stage", "new_stage")}
                for row in self.changes
            ],
            "estimate": {
                "api": estimate.api,
                "api_reason": self.api_reason,
                "api_calls": estimate.api_calls,
                "steps": dict(estimate.steps),
                "token_requests": estimate.token_requests,
                "plus": list(estimate.plus),
                "unsure": list(estimate.unsure),
            },
            "dry_run": {"api_calls": self.api_calls, "token_requests": self.token_requests},
            "api_usage": {"used": self.usage.used, "max": self.usage.max} if self.usage else None,
        }

    def lines(self, name: Callable[[str], str]) -> Iterator[str]:
        """Yield the preview for the log: no value of a row but its stages.

        :param name: a key as it may be logged.
        """
        yield self._said_of_all()
        if self.missing:
            yield f"Not all rows are in this preview: {self.missing}"
        if self._changing:
            yield f"Fields that would be written: {', '.join(self.fields)}."
            yield f"The first {len(self.changes):,} of the {self._changing:,} rows that would change:"
            yield from _table([_cells(row, name(row.key)) for row in self.changes])
        yield from self._said_of_calls()
        yield from self._said_of_usage()

    @property
    def _changing(self) -> int:
        return self.counts["would_create"] + self.counts["would_update"]

    def _said_of_all(self) -> str:
        left = {"read", "would_create", "would_update"}
        rest = ", ".join(f"{what} {n:,}" for what, n in self.counts.items() if n and what not in left)
        would = f"would create {self.counts['would_create']:,} and update {self.counts['would_update']:,} leads"
        return f"Preview: of {self.counts['read']:,} rows read, a live run {would}; the rest: {rest or 'none'}."

    def _said_of_calls(self) -> Iterator[str]:
        estimate = self.estimate
        steps = ", ".join(f"{_STEPS[step]} {n:,}" for step, n in estimate.steps.items())
        about = "about " if estimate.unsure else ""
        yield (
            f"API calls of a live run: {about}{estimate.api_calls:,} ({steps}), and a token; this dry run took "
            f"{self.api_calls:,}."
        )
        yield from (f"  plus {what}" for what in estimate.plus)
        yield from (f"  about, since {why}" for why in estimate.unsure)
        if estimate.api != "none":
            yield f"They would go through {_ROUTES[estimate.api]}: {self.api_reason}."

    def _said_of_usage(self) -> Iterator[str]:
        usage = self.usage
        if usage is None or usage.max <= 0:
            return
        share = self.estimate.api_calls / usage.max
        yield f"That is {share:.2%} of the org's {usage.max:,} a day, of which {usage.share:.1%} are used."
        if usage.share + share >= self.ceiling:
            yield f"Now it would not come to its end: the connection's ceiling is {self.ceiling:.0%} (max_api_usage)."


def _cells(row: Outcome, name: str) -> tuple[str, ...]:
    move = f"{_line(row.old_stage) or '(no stage)'} -> {_line(row.new_stage)}" if row.new_stage else ""
    return (name, row.action.value, row.salesforce_id or "", move)


def _line(stage: str | None) -> str | None:
    """Return a stage as it may be logged: where it is no picklist's, somebody may have entered more than a line."""
    return stage if stage is None or stage.isprintable() else repr(stage)


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width)
        yield f"  {'  '.join(cells)}".rstrip()


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
        "look_ups": (found.look_ups if counts_look_ups(plan) else 0) + found.again,
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


def counts_look_ups(plan: Plan) -> bool:
    """Return whether a live run asks Salesforce for leads before it sends any.

    A dry one also asks whom an insert would meet. A plain insert asks what became of rows that earlier runs of the task
    sent.
    """
    return not _meets(plan) or plan.recipe.by_email


def rows_by_way(plan: Plan, tally: Tally) -> list[int]:
    """Return how many rows a live run would send as new leads, and as known ones.

    Those that an insert only meets are sent.
    """
    return [written + met for _, written, met in _loads(plan, tally)]


def look_up_calls(plan: Plan, rows: Iterable[Outcome]) -> int:
    """Return how many API calls the look-up of rows takes, once more; about, where leads are found by e-mail, too.

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
    """Return what rows are sent as, how many of them would be written, and how many only meet their lead.

    No empty one.
    """
    met = tally.unchanged[Reason.ALREADY_EXISTS] if _meets(plan) else 0
    created, updated = tally.actions[Action.WOULD_CREATE], tally.actions[Action.WOULD_UPDATE]
    loads = [(Action.CREATED, created, met), (Action.UPDATED, updated, 0)]
    # Of several ways to update a lead the first is meant.
    kinds = {expected: kind for kind, expected in reversed(plan.ways)}
    return [(kinds[expected], written, only_met) for expected, written, only_met in loads if written + only_met]


def _meets(plan: Plan) -> bool:
    """Return whether only the answer to its insert tells that a lead exists."""
    return isinstance(plan, CreatePlan) and plan.rules.external is not None and plan.rules.existing == "skip"


def _unsure(plan: Plan) -> tuple[str, ...]:
    if isinstance(plan, StagePlan) or not plan.recipe.by_email:
        return ()
    said = "with match_email, rows that share an address with an earlier row are looked up once more"
    if plan.rules.external is None:
        return (said,)
    return (said, "and the results do not say who was found by address and who by key")
