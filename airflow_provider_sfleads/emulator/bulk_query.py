"""`/jobs/query`: create, look, abort, delete, list, and results page by page."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_sfleads.emulator import bulk_csv, bulk_ingest, query
from airflow_provider_sfleads.emulator.bulk_csv import Content
from airflow_provider_sfleads.emulator.bulk_jobs import Job, job_info
from airflow_provider_sfleads.emulator.fields import FieldSpec
from airflow_provider_sfleads.emulator.json_types import Json
from airflow_provider_sfleads.emulator.soql_parser import Query, parse
from airflow_provider_sfleads.emulator.soql_sql import Compiled
from airflow_provider_sfleads.emulator.virtual import VirtualLeads
from airflow_provider_sfleads.emulator.wire import ApiError, Call, Reply, Stream

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator.state import Emulator

_OPERATIONS = ("query", "queryAll")
_PIECE_ROWS = 10_000


def create(call: Call) -> Reply:
    """`POST /jobs/query`."""
    data = call.json()
    operation, text = data.get("operation"), data.get("query")
    if operation not in _OPERATIONS:
        raise bulk_ingest.invalid_job(f"operation {operation} is not one of {', '.join(_OPERATIONS)}")
    if not isinstance(text, str) or not text:
        raise bulk_ingest.invalid_job("Must specify query when creating a job")
    _, compiled = _compiled(call.emulator, text, operation)
    if not compiled.columns:
        raise ApiError("API_ERROR", "Aggregate Relationships not supported in Bulk Query")
    values = {
        "object": compiled.object,
        "operation": operation,
        "query": text,
        "request": call.number,
        "counted": VirtualLeads(call.emulator).count > 0 and compiled.object == "Lead",
        **bulk_ingest.form_of(data),
        "api_version": call.version,
    }
    job = call.emulator.jobs.create(values, call.emulator.now_text())
    with call.emulator.jobs.changed:
        call.emulator.worker.start(job, call.emulator.now_text())
        return Reply(body=job_info(job, full=False))


def _compiled(emulator: Emulator, text: str, operation: str) -> tuple[Query, Compiled]:
    parsed = parse(text)
    return parsed, query.compiled(emulator, parsed, include_deleted=operation == "queryAll")


def run(emulator: Emulator, job: Job) -> str | None:
    """Ask, and keep what was found; why it cannot be asked. Hold `Jobs.changed`."""
    try:
        parsed, compiled = _compiled(emulator, job.query or "", job.operation)
    except ApiError as error:
        return str(error.body[0]["message"])
    names = tuple(spec.name for spec in compiled.columns)
    virtual = VirtualLeads(emulator)
    if job.counted:
        asked = virtual.asked(parsed)
        count = virtual.count if asked is None else len(asked)
        job.content = Content(columns=names, rows=count if parsed.limit is None else min(count, parsed.limit))
        return None
    path = emulator.jobs.file(job, "result")
    with emulator.store.transaction():
        rows = emulator.store.read(compiled.sql, compiled.parameters)
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(_lines(job, compiled.columns, rows))
    job.content = Content(columns=names, rows=len(rows), blocks=tuple(bulk_csv.index(path)))
    return None


def _lines(job: Job, columns: Sequence[FieldSpec], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    form = job.form
    for row in rows:
        yield form.line([_cell(spec, value) for spec, value in zip(columns, row, strict=True)])


def _cell(spec: FieldSpec, value: Json) -> str:
    """Return a stored value in the CSV of a query job, where nothing says that there is none."""
    if value is None:
        return ""
    if spec.type == "boolean":
        return str(bool(value)).lower()
    if spec.type == "datetime":
        return str(value).removesuffix("+0000") + "Z"
    return str(value)


def _found(call: Call) -> Job:
    return bulk_ingest.found(call, query=True)


def show(call: Call) -> Reply:
    """`GET /jobs/query/{id}`."""
    job = _found(call)
    with call.emulator.jobs.changed:
        return Reply(body=job_info(job, full=True))


def change(call: Call) -> Reply:
    """`PATCH /jobs/query/{id}`, which can only abort."""
    job, data = _found(call), call.json()
    if not isinstance(data, dict) or data.get("state") != "Aborted":
        raise ApiError("INVALIDJOBSTATE", "InvalidJobState : A query job can only be set to Aborted")
    with call.emulator.jobs.changed:
        bulk_ingest.abort(call, job)
        return Reply(body=job_info(job, full=False))


def delete(call: Call) -> Reply:
    """`DELETE /jobs/query/{id}`."""
    return bulk_ingest.remove(call, _found(call))


def list_all(call: Call) -> Reply:
    """`GET /jobs/query`."""
    return bulk_ingest.listed(call, query=True)


def results(call: Call) -> Reply:
    """`GET /jobs/query/{id}/results?maxRecords=&locator=`."""
    job = _found(call)
    if call.version != job.api_version:
        message = f"The results of this job are served with API version {job.api_version}, as it was created"
        raise ApiError("INVALIDVERSION", message, status=409)
    with call.emulator.jobs.changed:
        if job.state != "JobComplete" or job.content is None:
            raise ApiError("INVALIDJOBSTATE", f"Job results are not available while the job is {job.state}")
        start = _start(call.query.get("locator"), job.rows)
        count = min(_most(call), job.rows - start)
        stream = _virtual(call, job, start, count) if job.counted else _kept(call, job, start, count)
    end = start + count
    headers = {
        "Sforce-NumberOfRecords": str(count),
        "Sforce-Locator": _locator(end) if end < job.rows else "null",
    }
    return Reply(stream=stream, headers=headers, records=count)


def _most(call: Call) -> int:
    raw = call.query.get("maxRecords")
    if raw is None:
        return call.emulator.settings.bulk_query_page_size
    if not raw.isdigit() or int(raw) == 0:
        raise ApiError("INVALID_FIELD", f"maxRecords cannot be {raw}")
    return int(raw)


def _locator(row: int) -> str:
    return base64.urlsafe_b64encode(str(row).encode()).decode().rstrip("=")


def _start(locator: str | None, rows: int) -> int:
    if locator in {None, ""}:
        return 0
    text = locator or ""
    try:
        start = int(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error):
        start = -1
    if not 0 <= start < rows:
        raise ApiError("INVALID_QUERY_LOCATOR", "invalid query locator")
    return start


def _header(job: Job) -> bytes:
    return job.form.line(list(job.content.columns if job.content else ())).encode()


def _kept(call: Call, job: Job, start: int, count: int) -> Stream:
    path = call.emulator.jobs.file(job, "result")
    blocks = bulk_csv.stretch(path, job.content.blocks if job.content else (), start, count)

    def pieces() -> Iterator[bytes]:
        yield _header(job)
        for block in blocks:
            yield b"".join(bulk_csv.records(bulk_csv.read(path, block))[: block.rows])

    return Stream(pieces=pieces, size=sum(block.size for block in blocks))


def _virtual(call: Call, job: Job, start: int, count: int) -> Stream:
    emulator, virtual = call.emulator, VirtualLeads(call.emulator)
    parsed, compiled = _compiled(emulator, job.query or "", job.operation)
    asked = virtual.asked(parsed)
    specs = compiled.columns
    between, end = f'"{job.form.separator}"', '"' + job.form.line_end

    def pieces() -> Iterator[bytes]:
        yield _header(job)
        if asked is not None:
            rows = [[virtual.value(spec, number) for spec in specs] for number in asked[start : start + count]]
            yield "".join(_lines(job, specs, rows)).encode()
            return
        for first in range(start + 1, start + count + 1, _PIECE_ROWS):
            many = min(_PIECE_ROWS, start + count + 1 - first)
            columns = [map(_maker(spec), virtual.column(spec, first, many)) for spec in specs]
            yield "".join(['"' + between.join(row) + end for row in zip(*columns, strict=True)]).encode()

    return Stream(pieces=pieces, size=count * 40)


def _maker(spec: FieldSpec) -> Any:  # noqa: ANN401 - a function of whatever is stored
    return str if spec.name in {"Id", "External_Id__c"} else lambda value: _cell(spec, value)
