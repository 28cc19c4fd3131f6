"""What a live run would do, told by a dry one: for people in its log, for programs in ``preview.json``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from airflow_provider_sfleads.core.outcome import Outcome
from airflow_provider_sfleads.pipeline.estimate import Estimate
from airflow_provider_sfleads.salesforce.limits import ApiUsage

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
        """The preview as plain JSON values; the rows with their keys, as in the results."""
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
        """The preview for the log: no value of a row but its stages.

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
    """A stage as it may be logged: where it is no picklist's, somebody may have entered more than a line."""
    return stage if stage is None or stage.isprintable() else repr(stage)


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width)
        yield f"  {'  '.join(cells)}".rstrip()
