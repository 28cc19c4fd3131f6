"""Print the reports of many runs: for each task a table, with a line a run and one for what they come to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from itertools import groupby

from rich.text import Text

from airflow_provider_sfleads.core.report import SyncReport, again, shown
from airflow_provider_sfleads.reports.reading import RecordedReport, Totals

_COUNTS = {
    "read": ("", "read"),
    "created": ("", "created"),
    "updated": ("", "updated"),
    "unchanged": ("un-", "changed"),
    "filtered": ("fil-", "tered"),
    "duplicate_keys": ("dupl.", "keys"),
    "rejected": ("re-", "jected"),
    "not_sent": ("not", "sent"),
    "api_calls": ("API", "calls"),
}
_WORDS = ("interval", "run", "mode")
# Where a dry run has what a live one would do.
_WOULD = {"created": "would_create", "updated": "would_update"}
_TOP_REASONS = 10
_AGAIN = "created, updated and API calls are summed over the executions, all else is of the newest"
_DAY = timedelta(days=1)


def in_one_line(text: str) -> str:
    """Return names and codes as a terminal may be given them: whoever writes to the storage makes them up."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def tables_of(found: Sequence[RecordedReport]) -> Iterator[Text]:
    """Yield the lines; what has no report is left out.

    The columns are set here and not by rich's ``Table``, which takes a second for a thousand lines.
    """
    by_task = sorted((each for each in found if each.report is not None), key=lambda each: (each.dag_id, each.task_id))
    for (dag_id, task_id), each in groupby(by_task, key=lambda each: (each.dag_id, each.task_id)):
        yield Text(in_one_line(f"{dag_id}.{task_id}"), style="bold")
        yield Text()
        yield from _table(list(each))
        yield Text()


def _table(found: Sequence[RecordedReport]) -> Iterator[Text]:
    live, dry = Totals(), Totals()
    rows = []
    for each in found:
        if each.report is not None:
            (dry if each.report.dry_run else live).add(each.report)
            rows.append((_row(each, each.report), "dim" if each.report.dry_run else ""))
    totals = [(name, total) for name, total in (("live", live), ("dry", dry)) if total.syncs]
    rows += [([], ""), *((_sums(name, total), "bold") for name, total in totals)]
    headings = [(["", "", "", *(high for high, _ in _COUNTS.values()), ""], "bold")]
    headings.append(([*_WORDS, *(low for _, low in _COUNTS.values()), "sec."], "bold"))
    yield from _aligned([*headings, *rows])
    if any(each.report is not None and again(each.report) for each in found):
        yield Text(f"\ncleared, tried again: {_AGAIN}")
    if dry.syncs:
        yield Text("\n(n): what a dry run would have created or updated")
    for name, total in totals:
        yield from _reasons(name, total)


def _aligned(rows: Sequence[tuple[Sequence[str], str]]) -> Iterator[Text]:
    widths = [max(map(len, column)) for column in zip(*(cells for cells, _ in rows if cells), strict=True)]
    for cells, style in rows:
        words = [cell.ljust(width) for cell, width in zip(cells, widths, strict=False)][: len(_WORDS)]
        numbers = [cell.rjust(width) for cell, width in zip(cells, widths, strict=False)][len(_WORDS) :]
        yield Text(" ".join([*words, *numbers]).rstrip(), style=style)


def _row(found: RecordedReport, report: SyncReport) -> list[str]:
    run = found.run_id if found.map_index < 0 else f"{found.run_id} [{found.map_index}]"
    counts = [_count(name, shown(report), is_dry=report.dry_run) for name in _COUNTS]
    mode = ", ".join(filter(None, ("dry" if report.dry_run else "live", again(report))))
    seconds = "" if report.seconds is None else f"{report.seconds:,.1f}"
    return [_interval(report), in_one_line(run), mode, *counts, seconds]


def _sums(name: str, total: Totals) -> list[str]:
    counts = [_count(each, total.counts, is_dry=name == "dry") for each in _COUNTS]
    return [f"{total.syncs:,} in all", "", name, *counts, f"{total.seconds:,.1f}"]


def _count(name: str, counts: Mapping[str, int], *, is_dry: bool) -> str:
    return f"({counts[_WOULD[name]]:,})" if is_dry and name in _WOULD else f"{counts[name]:,}"


def _interval(report: SyncReport) -> str:
    try:
        start, end = (
            datetime.fromisoformat(str(each)).astimezone(UTC) for each in (report.interval_start, report.interval_end)
        )
    except (ValueError, OverflowError):
        return "none"
    if end - start == _DAY and start.time() == time.min:
        return f"{start:%Y-%m-%d}"
    return f"{start:%Y-%m-%d %H:%M} - {end:{'%H:%M' if end.date() == start.date() else '%m-%d %H:%M'}}"


def _reasons(name: str, total: Totals) -> Iterator[Text]:
    if total.reject_reasons:
        yield Text(f"\nWhy rows were rejected{'' if name == 'live' else ' in dry runs'}:", style="bold")
    for code, count in total.reject_reasons.most_common(_TOP_REASONS):
        yield Text(f"{count:>12,}  {in_one_line(code)}")
