"""From the rows of a job to leads, 200 at a time, by the rules that collections follow too."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_sfleads.emulator.bulk_jobs import Job
from airflow_provider_sfleads.emulator.dml import Write, execute
from airflow_provider_sfleads.emulator.drafts import WRONG_TYPE, RowResult
from airflow_provider_sfleads.emulator.fields import FieldSpec, ObjectSchema
from airflow_provider_sfleads.emulator.json_types import Json
from airflow_provider_sfleads.emulator.wire import RowError

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator.state import Emulator

NULL = "#N/A"
_OPERATIONS: dict[str, Literal["create", "update", "upsert", "delete"]] = {
    "insert": "create",
    "update": "update",
    "upsert": "upsert",
    "delete": "delete",
}
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def unknown_column(columns: Sequence[str], schema: ObjectSchema) -> str | None:
    """Return the first column that is no field which the run-as user sees."""
    return next((name for name in columns if schema.find(name) is None), None)


def _same(text: str) -> Json:
    return text


def _boolean(text: str) -> Json:
    return _BOOLEANS.get(text.lower(), text)


def _maker(spec: FieldSpec | None) -> Callable[[str], Json]:
    return _boolean if spec is not None and spec.type == "boolean" else _same


def write_rows(emulator: Emulator, job: Job, rows: Sequence[Sequence[str]]) -> list[RowResult]:
    """Do with these rows what the job is there for; one result a row, in their order."""
    results = _written(emulator, job, rows)
    return [
        result if result.success else _said_of_cells(result, emulator.schema, job, row)
        for result, row in zip(results, rows, strict=True)
    ]


def _written(emulator: Emulator, job: Job, rows: Sequence[Sequence[str]]) -> list[RowResult]:
    columns = job.content.columns if job.content else ()
    makers = [(name, _maker(emulator.schema.find(name))) for name in columns]
    records: list[Mapping[str, Any]] = [
        {
            name: None if cell == NULL else make(cell)
            for (name, make), cell in zip(makers, row, strict=True)
            if cell != ""
        }
        for row in rows
    ]
    key = emulator.schema.find(job.external_id_field) if job.external_id_field else None
    operation = _OPERATIONS[job.operation]
    if key is not None and key.type == "id":
        return _by_id(emulator, job, records)
    write = _write(job, operation, key)
    if job.assignment_rule_id is None and "rule_in_job" in emulator.settings.broken:
        write = replace(write, auto_assign="TRUE")
    return execute(emulator, records, write, emulator.bulk_reader)


def _write(job: Job, operation: Literal["create", "update", "upsert", "delete"], key: FieldSpec | None) -> Write:
    # Without a rule in the job none runs; and no header can let duplicates pass.
    rule = job.assignment_rule_id or "FALSE"
    return Write(operation=operation, request=job.request, key=key, auto_assign=rule, allow_save=False, by_job=True)


def _by_id(emulator: Emulator, job: Job, records: Sequence[Mapping[str, Any]]) -> list[RowResult]:
    """Return an upsert by Id: rows with an id are updates, those without are inserts."""
    known = [any(name.lower() == "id" for name in record) for record in records]
    old = [record for record, has in zip(records, known, strict=True) if has]
    new = [record for record, has in zip(records, known, strict=True) if not has]
    updated = iter(execute(emulator, old, _write(job, "update", None), emulator.bulk_reader))
    created = iter(execute(emulator, new, _write(job, "create", None), emulator.bulk_reader))
    return [replace(next(updated), created=False) if has else replace(next(created), created=True) for has in known]


def _said_of_cells(result: RowResult, schema: ObjectSchema, job: Job, row: Sequence[str]) -> RowResult:
    """Return a refused row, in the words for cells that are not of their field's type."""
    columns = [name.lower() for name in job.content.columns] if job.content else []
    return replace(result, errors=tuple(_said_of_cell(error, schema, columns, row) for error in result.errors))


def _said_of_cell(error: RowError, schema: ObjectSchema, columns: list[str], row: Sequence[str]) -> RowError:
    if error.code != WRONG_TYPE:
        return error
    (name,) = error.fields
    place = columns.index(name.lower())
    if row[place] == NULL:
        return error
    wanted = f"is not a valid value for the type {schema.fields[name].soap_type}"
    message = f"Failed to deserialize field at col {place}. Due to, '{row[place]}' {wanted}"
    return replace(error, code="INVALID_FIELD", message=message)


def error_text(error: RowError) -> str:
    """Return how `sf__Error` says why a row was refused."""
    fields = f"{','.join(error.fields)} " if error.fields else ""
    return f"{error.code}:{error.message}:{fields}--"


def result_lines(
    job: Job, rows: Sequence[Sequence[str]], results: Sequence[RowResult], broken: Collection[str] = ()
) -> tuple[str, str]:
    """Return the lines of the successful and of the failed rows, as the results will show them.

    :param broken: deviations.
    """
    wrong = "job_created" in broken and job.operation == "upsert"
    if "job_echo" in broken:
        rows = [[cell.strip() for cell in row] for row in rows]
    form = job.form
    good, bad = [], []
    for row, result in zip(rows, results, strict=True):
        if result.success:
            created = result.created if result.created is not None else job.operation == "insert"
            good.append(form.line([result.id or "", str(created is not wrong).lower(), *row]))
        else:
            # Of several errors the first: how more than one is written is not documented.
            bad.append(form.line([result.known_id or "", error_text(result.errors[0]), *row]))
    return "".join(good), "".join(bad)
