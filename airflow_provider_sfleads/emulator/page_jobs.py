"""The page of Bulk API 2.0 jobs: what each does, how far it is, and what went wrong."""

from __future__ import annotations

from html import escape

from airflow_provider_sfleads.emulator.bulk_jobs import ACTIVE, Job
from airflow_provider_sfleads.emulator.html import chip, moment, page, text
from airflow_provider_sfleads.emulator.state import Emulator

# What a browser shows of a long night; the rest is in GET /_emulator/jobs.
_SHOWN = 200
_REFRESH_SECONDS = 2
_KINDS = {"JobComplete": "good", "Failed": "bad", "Aborted": "warn"}
_HEAD = (
    "<tr><th>Job</th><th>Operation</th><th>State</th><th>Progress</th><th class=num>Rows</th>"
    "<th class=num>Processed</th><th class=num>Failed</th><th>Created (UTC)</th><th>Message</th></tr>"
)
_NONE = '<div class="card empty">No jobs yet. A sync of more than 2,000 rows will fill this page.</div>'


def show(emulator: Emulator) -> str:
    """The page, as HTML; it comes again by itself while a job is at work."""
    with emulator.jobs.changed:
        jobs = emulator.jobs.all()[::-1]
        rows = "".join(_row(job) for job in jobs[:_SHOWN])
        busy = any(job.state in ACTIVE for job in jobs)
    table = f'<table class="list jobs"><thead>{_HEAD}</thead><tbody>{rows}</tbody></table>'
    card = f'<div class="card"><div class="scroll">{table}</div></div>' if jobs else _NONE
    count = f'<span class="chip">{len(jobs):,}</span>'
    content = f'<div class="bar"><h1>Bulk jobs</h1>{count}</div>{card}'
    return page("Bulk jobs", content, refresh=_REFRESH_SECONDS if busy else None)


def _row(job: Job) -> str:
    what = job.operation if job.external_id_field is None else f"{job.operation} by {job.external_id_field}"
    cells = [
        f'<td class="id">{text(job.id)}</td>',
        f'<td title="{escape(job.query or what)}">{text(what)}</td>',
        f"<td>{chip(job.state, _KINDS.get(job.state, ''))}</td>",
        f'<td><progress max="{max(job.rows, 1)}" value="{job.processed}"></progress></td>',
        f'<td class="num">{job.rows:,}</td>',
        f'<td class="num">{job.processed:,}</td>',
        f'<td class="num">{job.failed:,}</td>',
        f'<td class="time">{moment(job.created_at)}</td>',
        f'<td title="{escape(job.error_message or "")}">{text(job.error_message)}</td>',
    ]
    return f"<tr>{''.join(cells)}</tr>"
