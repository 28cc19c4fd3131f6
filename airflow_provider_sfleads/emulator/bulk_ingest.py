"""`/jobs/ingest`: create, upload, close, abort, delete, look, list."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from airflow_provider_sfleads.emulator import bulk_csv, bulk_results
from airflow_provider_sfleads.emulator.bulk_csv import DELIMITERS, ENDINGS
from airflow_provider_sfleads.emulator.bulk_jobs import Job, job_info
from airflow_provider_sfleads.emulator.ids import to_18
from airflow_provider_sfleads.emulator.json_types import Json
from airflow_provider_sfleads.emulator.wire import ApiError, Call, Reply, not_found, parse_json

OPERATIONS = ("insert", "update", "upsert", "delete")
_MOST_MULTIPART = 100_000
_TWICE = (
    "Found multipe contents for job: <{id}>, please 'Close' / 'Abort' / 'Delete' the current Job then create a new "
    "Job and make sure you only do 'PUT' once on a given Job."
)
_BOUNDARY = re.compile(r'boundary="?([^";]+)"?', re.IGNORECASE)
_PART_NAME = re.compile(rb'name="([^"]*)"', re.IGNORECASE)


def invalid_job(message: str) -> ApiError:
    """Return the request names a job, or describes one, that cannot be."""
    return ApiError("INVALIDJOB", f"InvalidJob : {message}")


def create(call: Call) -> Reply:
    """`POST /jobs/ingest`, as JSON or as multipart/form-data with the records in it."""
    content_type = call.headers.get("content-type", "")
    if not content_type.lower().startswith("multipart/form-data"):
        return Reply(body=job_info(call.emulator.jobs.create(_values(call, call.json()), _now(call)), full=False))
    parts = _parts(call.body, content_type)
    if not {"job", "content"} <= parts.keys():
        raise invalid_job("A multipart request needs the parts job and content")
    text = parts["content"]
    if len(text.decode("utf-8", "replace")) > _MOST_MULTIPART:
        raise ApiError("LIMIT_EXCEEDED", f"The content of a multipart request exceeds {_MOST_MULTIPART} characters")
    job = call.emulator.jobs.create(_values(call, parse_json(parts["job"])), _now(call))
    path = call.emulator.jobs.folder / f"{job.id}.part"
    path.write_bytes(text)
    _take(call, job, path)
    with call.emulator.jobs.changed:
        call.emulator.worker.start(job, _now(call))
        return Reply(body=job_info(job, full=False), records=job.rows)


def _now(call: Call) -> str:
    return call.emulator.now_text()


def _parts(body: bytes, content_type: str) -> dict[str, bytes]:
    """Return the parts of a multipart body by name, byte for byte."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise invalid_job("The multipart request has no boundary")
    parts = {}
    for part in (b"\r\n" + body).split(b"\r\n--" + found[1].encode())[1:]:
        head, _, content = part.partition(b"\r\n\r\n")
        if name := _PART_NAME.search(head):
            parts[name[1].decode("utf-8", "replace")] = content
    return parts


def _values(call: Call, data: Json) -> dict[str, Any]:
    """Return the job that a create asks for, as `Job` has it."""
    if not isinstance(data, dict):
        raise ApiError("JSON_PARSER_ERROR", "The request body must be a JSON object at [line:1, column:1]")
    subject, operation = _required(data, "object"), _required(data, "operation")
    if operation == "hardDelete":
        message = "hardDelete operation requires special user profile permission, please contact your administrator"
        raise ApiError("FEATURENOTENABLED", message)
    if operation not in OPERATIONS:
        raise invalid_job(f"Unable to parse Job: operation {operation} is not one of {', '.join(OPERATIONS)}")
    if subject.lower() != "lead" or not call.emulator.permissions.sees("Lead"):
        raise ApiError("INVALIDENTITY", f"InvalidEntity : Entity '{subject}' is not supported by the Bulk API.")
    if data.get("contentType", "CSV") != "CSV":
        raise invalid_job(f"Content type {data['contentType']} is not supported, use CSV")
    return {
        "object": "Lead",
        "operation": operation,
        "external_id_field": _key(call, data, operation),
        "assignment_rule_id": _rule(data),
        "request": call.number,
        "counted": call.emulator.settings.counting,
        **form_of(data),
        "api_version": call.version,
    }


def _required(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not value:
        raise invalid_job(f"Must specify {name} when creating a job")
    return value


def form_of(data: Mapping[str, Any]) -> dict[str, str]:
    """Line ending and delimiter that a create asks for."""
    ending, delimiter = data.get("lineEnding") or "LF", data.get("columnDelimiter") or "COMMA"
    if ending not in ENDINGS:
        raise invalid_job(f"lineEnding {ending} is not one of {', '.join(ENDINGS)}")
    if delimiter not in DELIMITERS:
        raise invalid_job(f"columnDelimiter {delimiter} is not one of {', '.join(DELIMITERS)}")
    return {"ending": ending, "delimiter": delimiter}


def _key(call: Call, data: Mapping[str, Any], operation: str) -> str | None:
    name = data.get("externalIdFieldName")
    if operation != "upsert":
        if name:
            raise invalid_job(f"External ID field should not be specified for {operation}")
        return None
    if not name:
        raise invalid_job("External ID was blank for Lead. An External ID must be specified for upsert.")
    spec = call.emulator.schema.find(str(name))
    if spec is None or not (spec.external_id or spec.id_lookup):
        raise invalid_job(f"Field name provided, {name} does not match an External ID, Salesforce Id, or indexed "
                          "field for Lead")  # fmt: skip
    return spec.name


def _rule(data: Mapping[str, Any]) -> str | None:
    raw = data.get("assignmentRuleId")
    if raw is None:
        return None
    rule = to_18(raw)
    if rule is None or not rule.startswith("01Q"):
        raise invalid_job(f"Invalid assignmentRuleId: {raw}")
    return rule


def found(call: Call, *, query: bool = False) -> Job:
    """Return the job that the path names."""
    job = call.emulator.jobs.find(to_18(call.params["id"]))
    if job is None or (job.query is not None) != query:
        raise not_found()
    return job


def upload(call: Call) -> Reply:
    """`PUT /jobs/ingest/{id}/batches`."""
    job = found(call)
    if not call.headers.get("content-type", "").lower().startswith("text/csv"):
        raise ApiError("UNSUPPORTED_MEDIA_TYPE", "The content of a job must be text/csv", status=415)
    path = call.upload
    if path is None or path.stat().st_size == 0:
        raise ApiError("INVALIDJOB", f"InvalidJob : No content in the upload for job: <{job.id}>")
    limit = call.emulator.settings.bulk_upload_limit
    if path.stat().st_size > limit:
        message = f"Maximum size of request reached. Maximum size of request is {limit} bytes"
        raise ApiError("EXCEEDED_MAX_SIZE_REQUEST", message, status=413)
    return Reply(status=201, records=_take(call, job, path))


def _take(call: Call, job: Job, path: Path) -> int:
    """Make an uploaded file the job's; how many records it holds."""
    jobs = call.emulator.jobs
    _check_open(job)
    content = bulk_csv.inspect(path, job.form, strict=not job.counted)
    with jobs.changed:
        _check_open(job)
        if jobs.find(job.id) is None:
            raise not_found()
        job.uploads += 1
        if job.uploads == 1:
            path.replace(jobs.file(job, "upload"))
            job.content = content
        jobs.save(job, _now(call))
    return content.rows


def _check_open(job: Job) -> None:
    if job.state != "Open":
        raise ApiError("INVALIDJOBSTATE", f"InvalidJobState : Upload is not allowed for a job that is {job.state}")


def show(call: Call) -> Reply:
    """`GET /jobs/ingest/{id}`."""
    job = found(call)
    with call.emulator.jobs.changed:
        return Reply(body=job_info(job, full=True))


def change(call: Call) -> Reply:
    """`PATCH /jobs/ingest/{id}`: close or abort."""
    job = found(call)
    data = call.json()
    state = data.get("state") if isinstance(data, dict) else None
    with call.emulator.jobs.changed:
        if state == "UploadComplete":
            _close(call, job)
        elif state == "Aborted":
            abort(call, job)
        else:
            raise ApiError("INVALIDJOBSTATE", f"InvalidJobState : {state} is no state that a job can be set to")
        return Reply(body=job_info(job, full=False))


def _close(call: Call, job: Job) -> None:
    if job.state == "UploadComplete":
        # Closing again is harmless.
        return
    if job.state != "Open":
        raise _not_allowed("Closing", job)
    if job.uploads == 0:
        raise ApiError("INVALIDJOB", f"InvalidJob : Unable to find content for job: <{job.id}>")
    if job.uploads > 1:
        raise ApiError("INVALIDJOB", _TWICE.format(id=job.id))
    job.request = call.number
    call.emulator.worker.start(job, _now(call))


def abort(call: Call, job: Job) -> None:
    """End a job at once; rows already written stay written."""
    if job.over:
        raise _not_allowed("Aborting", job)
    call.emulator.jobs.end(job, "Failed" if "abort" in call.emulator.settings.broken else "Aborted", _now(call))


def _not_allowed(what: str, job: Job) -> ApiError:
    shown = {"JobComplete": "Completed"}.get(job.state, job.state)
    return ApiError("INVALIDJOBSTATE", f"{what} already {shown} Job not allowed")


def delete(call: Call) -> Reply:
    """`DELETE /jobs/ingest/{id}`."""
    return remove(call, found(call))


def remove(call: Call, job: Job) -> Reply:
    """Delete a job that is not at work."""
    with call.emulator.jobs.changed:
        if job.state in {"Open", "InProgress"}:
            raise ApiError("INVALIDJOBSTATE", f"InvalidJobState : Deleting a job that is {job.state} is not allowed")
        if "job_delete" not in call.emulator.settings.broken:
            call.emulator.jobs.remove(job)
    return Reply(status=204)


def results(call: Call) -> Reply:
    """`GET /jobs/ingest/{id}/successfulResults`, `failedResults` and `unprocessedrecords`."""
    return bulk_results.serve(call, found(call))


def list_all(call: Call) -> Reply:
    """`GET /jobs/ingest`."""
    return listed(call, query=False)


def listed(call: Call, *, query: bool) -> Reply:
    """Return a page of jobs, in no particular order."""
    kind = call.query.get("jobType", "")
    own = "V2Query" if query else "V2Ingest"
    if kind and kind.lower() not in {own.lower(), "classic", "bigobjectingest"}:
        raise invalid_job(f"jobType {kind} is not one that is listed here")
    wanted = kind.lower() in {"", own.lower()}
    jobs = [job for job in call.emulator.jobs.all() if (job.query is not None) == query and wanted]
    # By the digit that changes fastest: an order that nobody takes for one.
    jobs.sort(key=lambda job: job.id[:15][::-1])
    locator = call.query.get("queryLocator", "0")
    if not locator.isdigit():
        raise ApiError("INVALID_QUERY_LOCATOR", "invalid query locator")
    start, size = int(locator), call.emulator.settings.bulk_list_page_size
    done = start + size >= len(jobs)
    place = "query" if query else "ingest"
    following = f"{call.prefix}/jobs/{place}?jobType={own}&queryLocator={start + size}"
    page = [job_info(replace(job), full=False) for job in jobs[start : start + size]]
    return Reply(body={"done": done, "records": page, "nextRecordsUrl": None if done else following})
