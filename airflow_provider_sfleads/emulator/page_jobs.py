"""The pages of Bulk API 2.0 jobs: what each does, how far it is, and what went wrong."""

from __future__ import annotations

from html import escape

from airflow_provider_sfleads.emulator.bulk_jobs import ACTIVE, Job
from airflow_provider_sfleads.emulator.html import chip, moment, page, text
from airflow_provider_sfleads.emulator.ids import JOB_PREFIX
from airflow_provider_sfleads.emulator.state import Emulator
from airflow_provider_sfleads.emulator.wire import ApiError

#: Where Salesforce shows one job, by ``?address=/<id>``.
PAGE = "/lightning/setup/AsyncApiJobStatus/page"

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
    """Return the page, as HTML; it comes again by itself while a job is at work."""
    with emulator.jobs.changed:
        jobs = emulator.jobs.all()[::-1]
        rows = "".join(_row(job) for job in jobs[:_SHOWN])
        busy = any(job.state in ACTIVE for job in jobs)
    table = f'<table class="list jobs"><thead>{_HEAD}</thead><tbody>{rows}</tbody></table>'
    card = f'<div class="card"><div class="scroll">{table}</div></div>' if jobs else _NONE
    count = f'<span class="chip">{len(jobs):,}</span>'
    content = f'<div class="bar"><h1>Bulk jobs</h1>{count}</div>{card}'
    return page("Bulk jobs", content, refresh=_REFRESH_SECONDS if busy else None)


def show_one(emulator: Emulator, address: str) -> str:
    """Return the page of one job, as HTML, or of all jobs where the address names none.

    ApiError where there is no such job.

    :param address: a slash and the job's id.
    """
    job_id = address.removeprefix("/")
    if job_id in {"", JOB_PREFIX}:
        return show(emulator)
    with emulator.jobs.changed:
        job = emulator.jobs.find(job_id)
        if job is None:
            raise ApiError("NOT_FOUND", "There is no job with this id.", status=404)
        facts = {
            "Operation": text(_what(job)),
            "Progress": _progress(job),
            "Rows": text(f"{job.rows:,}"),
            "Processed": text(f"{job.processed:,}"),
            "Failed": text(f"{job.failed:,}"),
            "Created (UTC)": moment(job.created_at),
            "Last change (UTC)": moment(job.modified_at),
            "Assignment rule": text(job.assignment_rule_id),
            "Columns": text(", ".join(job.content.columns) if job.content else None),
            "Query": text(job.query),
            "Message": text(job.error_message),
        }
        state, busy = _state(job), job.state in ACTIVE
    rows = "".join(f'<tr><th>{name}</th><td class="pre">{value}</td></tr>' for name, value in facts.items())
    bar = f'<div class="bar"><h1>Bulk job {text(job_id)}</h1>{state}<a href="/jobs">All jobs</a></div>'
    content = f'{bar}<div class="card"><table class="facts"><tbody>{rows}</tbody></table></div>'
    return page(f"Bulk job {job_id}", content, refresh=_REFRESH_SECONDS if busy else None)


def _what(job: Job) -> str:
    return job.operation if job.external_id_field is None else f"{job.operation} by {job.external_id_field}"


def _state(job: Job) -> str:
    return chip(job.state, _KINDS.get(job.state, ""))


def _progress(job: Job) -> str:
    return f'<progress max="{max(job.rows, 1)}" value="{job.processed}"></progress>'


def _row(job: Job) -> str:
    what = _what(job)
    cells = [
        f'<td class="id"><a href="{PAGE}?address=%2F{job.id}">{text(job.id)}</a></td>',
        f'<td title="{escape(job.query or what)}">{text(what)}</td>',
        f"<td>{_state(job)}</td>",
        f"<td>{_progress(job)}</td>",
        f'<td class="num">{job.rows:,}</td>',
        f'<td class="num">{job.processed:,}</td>',
        f'<td class="num">{job.failed:,}</td>',
        f'<td class="time">{moment(job.created_at)}</td>',
        f'<td title="{escape(job.error_message or "")}">{text(job.error_message)}</td>',
    ]
    return f"<tr>{''.join(cells)}</tr>"
