"""What a message about a sync says: what came in, what changed, what was refused and why, and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from airflow_provider_sfleads.core.message import (
    LIMIT,
    Message,
    Section,
    cut,
    error_words,
    is_named,
    log_name,
    message_of,
)
from airflow_provider_sfleads.core.report import SyncReport, in_all
from airflow_provider_sfleads.core.report import shown as shown_counts

#: How many error codes are named, and how many keys with each.
TOP_CODES = 5
TOP_KEYS = 3
_TOP_SYNCS = 10
_LONGEST_NAME = 80
_LONGEST_PATH = 700
_LONGEST_ERROR = 700
_LONGEST_WORDS = 120
_IDENTIFIER = re.compile(r"[A-Za-z]\w{0,79}", re.ASCII)
_STATES = {
    "created": "created",
    "updated": "updated",
    "would_create": "would be created",
    "would_update": "would be updated",
    "unchanged": "unchanged",
    "filtered": "filtered",
    "duplicate_keys": "with a key seen before",
    "rejected": "rejected",
    "not_sent": "not sent",
}


class State(StrEnum):
    """How a task or a Dag run ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RETRIED = "failed and will be tried again"
    SKIPPED = "was skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """What there is to tell of, apart from reports.

    :param name: the Dag's, with the task's.
    :param run_id: the Dag run.
    :param state: how it ended.
    :param attempt: number of the task's try.
    :param dry_run: whether it was to send nothing, where no report says it; ``None`` where nobody knows.
    :param interval: start and end of the stretch of time it read, ISO 8601, where no report says it.
    :param error: what it failed with, which may be shown; the lines of an error's own message.
    :param problem: why the message says less than it should.
    :param log_url: where the log is.
    """

    name: str
    run_id: str
    state: State
    attempt: int | None = None
    dry_run: bool | None = None
    interval: tuple[str, str] | None = None
    error: str | None = None
    problem: str | None = None
    log_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """Some of the rows that were rejected with one error code.

    :param keys: the first of them.
    :param was_sent: whether Salesforce refused the first one.
    :param fields: Lead fields that its error names.
    :param message: its error message.
    """

    keys: tuple[str, ...]
    was_sent: bool
    fields: tuple[str, ...] = ()
    message: str | None = None


def is_clean(occasion: Occasion, reports: Sequence[SyncReport]) -> bool:
    """Return whether there is nothing to do for anybody: success, and every row was taken."""
    told = occasion.state is State.SUCCEEDED and occasion.problem is None and bool(reports)
    return told and not any(report.rejected or report.not_sent for report in reports)


def task_message(
    occasion: Occasion, report: SyncReport | None, examples: Mapping[str, Example], *, salt: str
) -> Message:
    """Return the message about one task.

    :param report: what it reported; ``None`` where it came to no report.
    :param examples: rejected rows, by error code.
    :param salt: of the hashes of keys that are addresses, see :func:`~.message.log_name`.
    """
    subject = _subject(_mode(report.dry_run if report else occasion.dry_run), occasion, [report] if report else [])
    before: list[Section] = [("", _heading(occasion, _interval(report), report))]
    if report is not None:
        before.append(("", (_counts(report), *_in_all(report), _effort(report))))
    after: list[Section] = [("", _trouble(occasion)), ("", list(_next_steps(occasion, report)))]

    def made(shown: int) -> Message:
        reasons = _reasons(report, examples, salt, shown) if report and report.rejected else ()
        sections = [*before, ("Why rows were rejected", reasons), *after]
        return message_of(subject, sections, log_url=occasion.log_url)

    return _fitting(made, min(TOP_CODES, len(report.reject_reasons)) if report else 0)


def dag_message(occasion: Occasion, syncs: Sequence[tuple[str, SyncReport]], failed: Sequence[str]) -> Message:
    """Return the message about a Dag run: a line for each sync task that reported.

    :param syncs: names of tasks, and their reports.
    :param failed: names of tasks that failed, syncs or not.
    """
    reports = [report for _, report in syncs]
    modes = sorted({report.dry_run for report in reports})
    subject = _subject(" AND ".join(map(_mode, modes)) or _mode(None), occasion, reports)
    intervals = {_interval(report) for report in reports}
    heading = _heading(occasion, intervals.pop() if len(intervals) == 1 else None)

    def made(shown: int) -> Message:
        lines = [_brief(name, report) for name, report in syncs[:shown]]
        if len(syncs) > shown:
            lines.append(f"and {len(syncs) - shown:,} more")
        sections: list[Section] = [
            ("", heading),
            ("Syncs", lines or ["none of them reported"]),
            ("", _named("Failed tasks", failed)),
            ("", _trouble(occasion)),
        ]
        return message_of(subject, sections, log_url=occasion.log_url)

    return _fitting(made, min(_TOP_SYNCS, len(syncs)))


def _fitting(made: Callable[[int], Message], most: int) -> Message:
    """Return the message with as many lines of a list as leave room for all that comes after it."""
    for shown in range(most, 0, -1):
        message = made(shown)
        if len(message.text) < LIMIT:
            return message
    return made(0)


def _named(title: str, names: Sequence[str]) -> tuple[str, ...]:
    shown = [cut(name, _LONGEST_NAME) for name in names[:_TOP_SYNCS]]
    more = f" and {len(names) - len(shown):,} more" if len(names) > len(shown) else ""
    return (f"{title}: {', '.join(shown)}{more}.",) if names else ()


def _mode(dry_run: bool | None) -> str:  # noqa: FBT001 - a state of three
    return {True: "DRY RUN", False: "LIVE", None: "LIVE OR DRY RUN"}[dry_run]


def _subject(mode: str, occasion: Occasion, reports: Sequence[SyncReport]) -> str:
    wanted = ("created", "updated", "would_create", "would_update", "rejected", "not_sent")
    counts = [shown_counts(report) for report in reports]
    found = {name: sum(each[name] for each in counts) for name in wanted}
    sums = ", ".join(f"{n:,} {_STATES[name]}" for name, n in found.items() if n)
    return f"{mode}: {cut(occasion.name, _LONGEST_NAME)} {occasion.state}{f' ({sums})' if sums else ''}"


def _heading(occasion: Occasion, interval: tuple[str, str] | None, report: SyncReport | None = None) -> list[str]:
    attempt = f", try {occasion.attempt}" if occasion.attempt else ""
    lines = [f"Run: {cut(occasion.run_id, _LONGEST_NAME)}{attempt}"]
    span = interval or occasion.interval
    lines.append(f"Interval: {_moment(span[0])} to {_moment(span[1])} UTC" if span and span[0] else "Interval: none")
    if report is not None:
        lines.append(f"Salesforce: {cut(report.host, _LONGEST_NAME)}")
    return lines


def _interval(report: SyncReport | None) -> tuple[str, str] | None:
    if report is None or report.interval_start is None or report.interval_end is None:
        return None
    return report.interval_start, report.interval_end


def _moment(text: str) -> str:
    with suppress(ValueError):
        moment = datetime.fromisoformat(text)
        return f"{(moment.astimezone(UTC) if moment.tzinfo else moment):%Y-%m-%d %H:%M}"
    return cut(text, _LONGEST_NAME)


def _counts(report: SyncReport) -> str:
    if not report.read:
        return "Read no rows."
    found = [f"{getattr(report, name):,} {words}" for name, words in _STATES.items() if getattr(report, name)]
    return f"Read {report.read:,} rows: {', '.join(found)}."


def _in_all(report: SyncReport) -> list[str]:
    words = in_all(report)
    return [f"{words[:1].upper()}{words[1:]}."] if words else []


def _effort(report: SyncReport) -> str:
    seconds = report.seconds
    took = f", {seconds:,.1f} seconds" if seconds is not None else ""
    return f"{report.api_calls:,} API {'call' if report.api_calls == 1 else 'calls'}{took}."


def _brief(name: str, report: SyncReport) -> str:
    tops = [f"{_code(code)} {n:,}" for code, n in list(report.reject_reasons.items())[:TOP_KEYS]]
    why = f" Rejected ({', '.join(tops)}):" if tops else ""
    where = f" {cut(report.rejects_path, _LONGEST_PATH)}" if report.rejected else ""
    counts = " ".join((_counts(report), *_in_all(report)))
    return f"{_mode(report.dry_run)} {cut(name, _LONGEST_NAME)}: {counts}{why}{where}"


def _reasons(report: SyncReport, examples: Mapping[str, Example], salt: str, shown: int) -> list[str]:
    lines = [_reason(code, n, examples.get(code), salt) for code, n in list(report.reject_reasons.items())[:shown]]
    others = report.rejected - sum(list(report.reject_reasons.values())[:shown])
    return [*lines, f"{others:,} rows for other reasons"] if others > 0 else lines


def _reason(code: str, count: int, example: Example | None, salt: str) -> str:
    line = f"{_code(code)}: {count:,} {'row' if count == 1 else 'rows'}"
    if example is None:
        return line
    if example.keys and is_named(code):
        keys = ", ".join(cut(log_name(key, salt=salt), _LONGEST_NAME) for key in example.keys)
        line += f", {'key' if count == 1 else 'such as'} {keys}"
    fields = [name for name in example.fields if _IDENTIFIER.fullmatch(name)]
    words = error_words(was_sent=example.was_sent, fields=fields, message=example.message)
    return f"{line} ({cut(words, _LONGEST_WORDS)})" if words else line


def _code(code: str) -> str:
    return code if _IDENTIFIER.fullmatch(code) else "another error"


def _trouble(occasion: Occasion) -> list[str]:
    lines = (line.strip() for line in [*_error(occasion).splitlines(), occasion.problem or ""])
    return [line for line in lines if line]


def _error(occasion: Occasion) -> str:
    return cut(occasion.error or "", _LONGEST_ERROR)


def _next_steps(occasion: Occasion, report: SyncReport | None) -> Iterator[str]:
    """Yield what to do and where to look, as far as the error does not say it."""
    said = _error(occasion)
    if report is not None and report.rejected and report.rejects_path not in said:
        yield "To do: mend the rows in the rejects file, and feed it back as a FileExport."
        yield f"Rejects, and beside them what became of each row: {cut(report.rejects_path, _LONGEST_PATH)}"
    if occasion.state is State.RETRIED:
        yield "To do: nothing yet; the next try goes on with what is open."
    elif report is not None and report.not_sent:
        yield "To do: when the cause is gone, clear the task; it goes on with the rows that are open."
    elif occasion.state is State.FAILED and not (report is not None and report.rejected):
        yield "To do: when the cause is mended, clear the task."
    if report is not None and not report.rejected and report.results_path not in said:
        yield f"What became of each row: {cut(report.results_path, _LONGEST_PATH)}"
