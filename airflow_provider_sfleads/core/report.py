"""The account of a sync: a count for every state, and one report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal

from airflow_provider_sfleads.core.outcome import Action, Outcome

_TOP_REASONS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """What a sync task returns (XCom) and writes as ``report.json``; times in ISO 8601, UTC.

    ``read`` is always the sum of ``filtered``, ``duplicate_keys``, ``unchanged``, ``created``, ``updated``,
    ``rejected``, ``not_sent``, ``would_create`` and ``would_update``.
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

    def as_json(self) -> dict[str, object]:
        """The report as plain JSON values."""
        return {**asdict(self), "job_ids": list(self.job_ids)}


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
        """The report's counts, by their names there."""
        names = {action: action.value for action in Action} | {Action.DUPLICATE_KEY: "duplicate_keys"}
        return {"read": self.read} | {names[action]: self.actions[action] for action in Action}

    def reject_reasons(self) -> dict[str, int]:
        """The most frequent error codes of rejected rows, most frequent first."""
        return dict(self.rejects.most_common(_TOP_REASONS))


def too_many_rejects(rejected: int, read: int, max_rejects: float) -> bool:
    """Whether ``max_rejects`` is exceeded: an int is a count, a float a share of the rows read."""
    if isinstance(max_rejects, float):
        # As the person wrote it: in binary 0.29 of 100 is less than 29.
        return rejected > Decimal(str(max_rejects)) * read
    return rejected > max_rejects
