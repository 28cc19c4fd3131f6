"""The account of a sync: a count for every state, one report, and what the executions of a task come to.

A task that is cleared runs once more as a new execution, with a report of its own; so does one whose worker dies after
its account was closed and before Airflow heard of it. What the executions before it did to Salesforce is still done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Self

from airflow_provider_sfleads.core.outcome import Action, Outcome

_TOP_REASONS = 20
# No sync comes near it, and sums of such can still be written down.
_MOST = 10**15
# Nobody clears a task so often; a hostile report has ten thousand of them in a megabyte.
_MOST_EXECUTIONS = 1_000
_NAMES = {action: action.value for action in Action} | {Action.DUPLICATE_KEY: "duplicate_keys"}
#: The counts of rows; the first is the sum of all others.
COUNTS = ("read", *_NAMES.values())
_TOLD = (*COUNTS, "api_calls")
#: What was done to Salesforce, and what that cost: it adds up over the live executions. Every other count says how the
#: rows of the export stand, and the newest execution alone knows that.
ADDED_UP = ("created", "updated", "api_calls")

Entry = Mapping[str, Any]
"""What a report's ``executions`` holds of one execution: its name, whether it was dry, its counts."""


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST


def _are_counts(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) and _is_count(n) for name, n in value.items())


def are_executions(value: object) -> bool:
    """Return whether such a value, read from JSON, is what a report has as its ``executions``."""
    return isinstance(value, list) and len(value) <= _MOST_EXECUTIONS and all(map(_is_execution, value))


def _is_execution(value: object) -> bool:
    if not isinstance(value, Mapping) or not isinstance(value.get("execution"), str):
        return False
    return isinstance(value.get("dry_run"), bool) and all(_is_count(value.get(name)) for name in _TOLD)


# What JSON may hold where the report has a field so annotated.
_FITS: Mapping[str, Callable[[Any], bool]] = {
    "int": _is_count,
    "bool": lambda value: isinstance(value, bool),
    "str": lambda value: isinstance(value, str),
    "str | None": lambda value: value is None or isinstance(value, str),
    "tuple[str, ...]": lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
    "Mapping[str, int]": _are_counts,
    "Mapping[str, int] | None": lambda value: value is None or _are_counts(value),
    "tuple[Mapping[str, Any], ...]": are_executions,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """What a sync task returns (XCom) and writes as ``report.json``; times in ISO 8601, UTC.

    ``read`` is always the sum of the nine counts that follow it. All of them count rows of the export, in one execution
    of the task instance, over all its tries.

    :param read: rows read.
    :param filtered: rows that were not meant: by score, or by the stage in the export.
    :param duplicate_keys: rows whose key an earlier row of the export has.
    :param unchanged: rows whose lead is right as it is, or must not be touched.
    :param created: rows that made a lead.
    :param updated: rows that changed a lead.
    :param rejected: rows that cannot be taken, by Salesforce's word or before they are sent.
    :param not_sent: rows that were not sent, or of which nobody knows yet what became of them.
    :param would_create: rows of a dry run that a live run would create a lead of.
    :param would_update: rows of a dry run that a live run would change a lead by.
    :param api_calls: requests that count against the org's daily limit, over all tries and processes.
    :param token_requests: requests for a token, which do not count there.
    :param api: ``collections``, ``bulk``, or ``none`` where no row was sent.
    :param api_reason: why that one.
    :param job_ids: ids of the bulk jobs that rows were sent by.
    :param results_path: URL of the execution's folder.
    :param rejects_path: URL of the rejected rows there.
    :param dry_run: whether Salesforce was only read.
    :param started_at: when the first try began.
    :param finished_at: when the last one ended.
    :param host: the org's host.
    :param operation: ``create`` or ``update_stage``.
    :param interval_start: start of the stretch of time that the run is about; ``None`` where it has none.
    :param interval_end: its end, which is not in it.
    :param attempts: tries of this execution.
    :param reject_reasons: rejected rows by error code, of the 20 most frequent ones.
    :param unchanged_reasons: unchanged rows by reason.
    :param api_usage: ``{"used", "max"}``, the org's API requests in 24 hours and its limit, as the last answer told
        them; ``None`` where none did.
    :param executions: the counts of each execution of the task instance, oldest first and this one among them; see
        :func:`~airflow_provider_sfleads.core.report.shown` for what they come to.
    :param not_visible: Lead fields that the Run-As user may not see, so that the results lack what they would hold.
    """

    read: int
    filtered: int
    duplicate_keys: int
    unchanged: int
    created: int
    updated: int
    rejected: int
    not_sent: int
    would_create: int
    would_update: int
    api_calls: int
    token_requests: int
    api: str
    api_reason: str
    job_ids: tuple[str, ...]
    results_path: str
    rejects_path: str
    dry_run: bool
    started_at: str
    finished_at: str
    host: str
    operation: str
    interval_start: str | None
    interval_end: str | None
    attempts: int
    reject_reasons: Mapping[str, int]
    unchanged_reasons: Mapping[str, int]
    api_usage: Mapping[str, int] | None
    executions: tuple[Mapping[str, Any], ...] = ()
    not_visible: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return the report as plain JSON values; ``not_visible`` is there only where something is."""
        told = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return {name: value for name, value in told.items() if name != "not_visible" or value}

    @property
    def seconds(self) -> float | None:
        """How long it took from the first try to the end of the last; ``None`` where the times are none."""
        try:
            took = datetime.fromisoformat(self.finished_at) - datetime.fromisoformat(self.started_at)
        except (TypeError, ValueError):
            return None
        return took.total_seconds()

    @property
    def moment(self) -> datetime | None:
        """The start of what it is about: its interval, or the sync itself where it has none; ``None`` as above."""
        try:
            moment = datetime.fromisoformat(self.interval_start or self.started_at)
        except ValueError:
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    @classmethod
    def from_json(cls, values: object) -> Self:
        """Return the report that such values, read from JSON, are; what this version does not know of is left out.

        :raises ValueError: naming the first thing that makes them none.
        """
        if not isinstance(values, Mapping):
            raise ValueError(f"a report is an object, not {type(values).__name__}")  # noqa: TRY004 - all of one kind
        given: dict[str, Any] = {}
        for each in fields(cls):
            if each.name in values:
                value = values[each.name]
                if not _FITS[str(each.type)](value):
                    raise ValueError(f"{each.name} is no {each.type}")
                given[each.name] = tuple(value) if isinstance(value, list) else value
            elif each.default is MISSING and each.default_factory is MISSING:
                raise ValueError(f"{each.name} is missing")
        return cls(**given)


@dataclass(slots=True)
class Tally:
    """Counts outcomes as they come; ``sent`` are those that an API carried."""

    actions: Counter[Action] = field(default_factory=Counter)
    rejects: Counter[str] = field(default_factory=Counter)
    unchanged: Counter[str] = field(default_factory=Counter)
    sent: int = 0

    def add(self, outcome: Outcome) -> None:
        """Count one row."""
        self.add_many(
            outcome.action,
            reason=outcome.reason,
            error_code=outcome.error_code,
            was_sent=outcome.api is not None,
            count=1,
        )

    def add_many(
        self, action: Action, *, reason: str | None, error_code: str | None, was_sent: bool, count: int
    ) -> None:
        """Count rows that are alike."""
        self.actions[action] += count
        self.sent += was_sent * count
        if action is Action.REJECTED:
            self.rejects[error_code or "UNKNOWN_EXCEPTION"] += count
        elif action is Action.UNCHANGED:
            self.unchanged[str(reason or "")] += count

    def absorb(self, other: Tally) -> None:
        """Count the rows of another account, too."""
        self.actions.update(other.actions)
        self.rejects.update(other.rejects)
        self.unchanged.update(other.unchanged)
        self.sent += other.sent

    @property
    def read(self) -> int:
        """Rows accounted for."""
        return self.actions.total()

    def counts(self) -> dict[str, int]:
        """Return the report's counts, by their names there."""
        return {"read": self.read} | {name: self.actions[action] for action, name in _NAMES.items()}

    def reject_reasons(self) -> dict[str, int]:
        """Return the most frequent error codes of rejected rows, most frequent first."""
        return dict(self.rejects.most_common(_TOP_REASONS))


def too_many_rejects(rejected: int, read: int, max_rejects: float) -> bool:
    """Return whether ``max_rejects`` is exceeded: an int is a count, a float a share of the rows read."""
    if isinstance(max_rejects, float):
        # As the person wrote it: in binary 0.29 of 100 is less than 29.
        return rejected > Decimal(str(max_rejects)) * read
    return rejected > max_rejects


def entry_of(execution: str, report: SyncReport, *, cleared: bool | None = None) -> Entry:
    """Return what is told of an execution, by its report.

    :param cleared: whether somebody cleared the task for it; ``None`` where that is not known.
    """
    known = {} if cleared is None else {"cleared": cleared}
    return {"execution": execution, "dry_run": report.dry_run, **known, **counts_of(report)}


def entry_of_rows(execution: str, tally: Tally, *, dry_run: bool) -> Entry:
    """Return what is told of an execution that left no report, by its rows; what it cost, nobody knows."""
    return {"execution": execution, "dry_run": dry_run, **tally.counts(), "api_calls": 0}


def gathered(reports: Iterable[tuple[str, SyncReport]]) -> tuple[Entry, ...]:
    """Return the executions that some reports tell of, oldest first.

    :param reports: names of executions and their reports, newest first: what a newer one tells of an older one goes
        before what that one told itself, since it may have counted anew what the records lack.
    """
    known: dict[str, Entry] = {}
    for name, report in reports:
        for entry in (*report.executions, entry_of(name, report)):
            known.setdefault(str(entry["execution"]), entry)
    return in_order(known.values())


def in_order(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return executions, oldest first: they are named after their beginning."""
    return tuple(sorted(entries, key=lambda entry: str(entry["execution"])))


def shown(report: SyncReport) -> dict[str, int]:
    """Return the counts that people are shown of a task instance, by their names in the report.

    Dry runs add nothing, neither to live executions nor to each other.
    """
    return (None if report.dry_run else live_total(report.executions)) or counts_of(report)


def counts_of(report: SyncReport) -> dict[str, int]:
    """Return the counts of a report itself, of its one execution."""
    return {name: int(getattr(report, name)) for name in _TOLD}


def live_total(entries: Sequence[Entry]) -> dict[str, int] | None:
    """Return the counts that people are shown of live executions, oldest first; ``None`` where all were dry."""
    live = _live(entries)
    if not live:
        return None
    return {name: sum(entry[name] for entry in live) if name in ADDED_UP else live[-1][name] for name in _TOLD}


def again(report: SyncReport) -> str:
    """Return how often a task instance ran live anew, such as ``cleared once``.

    Empty where it did not, or ran dry now.
    """
    return "" if report.dry_run else how_often(report.executions)


def how_often(entries: Sequence[Entry]) -> str:
    """Return the same of executions, oldest first."""
    later = _live(entries)[1:]
    cleared = sum(bool(entry.get("cleared", True)) for entry in later)
    told = (("cleared", cleared), ("tried again", len(later) - cleared))
    return ", ".join(f"{word} {_times(n)}" for word, n in told if n)


def in_all(report: SyncReport) -> str:
    """Return what the executions of a task instance did together, in words; empty where there is but one to tell of."""
    words, counts = again(report), shown(report)
    if not words:
        return ""
    return f"{words}: {counts['created']:,} created and {counts['updated']:,} updated in all"


def _live(entries: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if not entry["dry_run"]]


def _times(n: int) -> str:
    return {1: "once", 2: "twice"}.get(n, f"{n:,} times")
