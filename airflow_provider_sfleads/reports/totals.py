"""What many reports come to together."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from airflow_provider_sfleads.core.executions import shown
from airflow_provider_sfleads.core.report import SyncReport

# What is summed, by the names in the report.
_SUMMED = (
    "read", "created", "updated", "would_create", "would_update", "unchanged", "filtered", "duplicate_keys", "rejected",
    "not_sent", "api_calls",
)  # fmt: skip


@dataclass(slots=True)
class Totals:
    """The sums over reports; live ones and dry runs are not to be mixed.

    What a task instance was cleared and run again for is in its report's numbers, see
    :func:`~airflow_provider_sfleads.core.executions.shown`.

    :param syncs: how many reports.
    :param counts: the sum of each count, by its name in the report.
    :param seconds: the sum of what each took; they may have run side by side.
    :param reject_reasons: rows by error code. Each report names its 20 most frequent ones.
    """

    syncs: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    reject_reasons: Counter[str] = field(default_factory=Counter)

    def add(self, report: SyncReport) -> None:
        """Add one report."""
        self.syncs += 1
        self.counts.update(shown(report))
        self.seconds += report.seconds or 0.0
        self.reject_reasons.update(report.reject_reasons)

    def as_json(self) -> dict[str, object]:
        """The sums as plain JSON values, the most frequent error code first."""
        counts = {name: self.counts[name] for name in _SUMMED}
        reasons = dict(self.reject_reasons.most_common())
        return {"syncs": self.syncs, **counts, "seconds": round(self.seconds, 3), "reject_reasons": reasons}
