"""`/query`, `/queryAll` and the pages that follow."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from airflow_provider_sfleads.emulator.fields import FieldSpec, ObjectSchema
from airflow_provider_sfleads.emulator.lead_fields import SETUP_OBJECTS
from airflow_provider_sfleads.emulator.locators import Result
from airflow_provider_sfleads.emulator.render import output
from airflow_provider_sfleads.emulator.soql_parser import parse
from airflow_provider_sfleads.emulator.soql_sql import compile_query
from airflow_provider_sfleads.emulator.state import Emulator
from airflow_provider_sfleads.emulator.wire import ApiError, Call, Reply

_SETUP_SCHEMAS = {name: ObjectSchema(name, specs) for name, specs in SETUP_OBJECTS.items()}
_MAX_SOQL = 100_000
_SMALLEST_PAGE = 200
_BATCH_SIZE = re.compile(r"batchSize\s*=\s*(\d+)", re.IGNORECASE)


def _schemas(emulator: Emulator) -> dict[str, ObjectSchema]:
    schemas = {**_SETUP_SCHEMAS, "Contact": emulator.store.contacts}
    return {**schemas, "Lead": emulator.schema} if emulator.settings.lead_access else schemas


def run(call: Call) -> Reply:
    """`GET /query?q=` and `GET /queryAll?q=`."""
    text = call.query.get("q")
    if not text:
        raise ApiError("MALFORMED_QUERY", "SOQL query is required: parameter q")
    if len(text) > _MAX_SOQL:
        raise ApiError("QUERY_TOO_COMPLICATED", f"SOQL statements cannot be longer than {_MAX_SOQL} characters.")
    emulator = call.emulator
    include_deleted = call.template.endswith("/queryAll")
    compiled = compile_query(parse(text), _schemas(emulator), include_deleted=include_deleted)
    with emulator.store.transaction():
        rows = emulator.store.read(compiled.sql, compiled.parameters)
    if not compiled.columns:
        return Reply(body={"totalSize": rows[0][0], "done": True, "records": []})
    result = Result(
        id=emulator.locators.new_id(),
        object=compiled.object,
        columns=compiled.columns,
        rows=rows,
        page_size=_page_size(call),
    )
    return _page(call, result, 0)


def _page_size(call: Call) -> int:
    largest = call.emulator.settings.query_page_size
    match = _BATCH_SIZE.search(call.headers.get("sforce-query-options", ""))
    if match is None:
        return largest
    return min(largest, max(_SMALLEST_PAGE, int(match[1])))


def more(call: Call) -> Reply:
    """`GET /query/{locator}`: the page that `nextRecordsUrl` named."""
    locator, _, start = call.params["locator"].partition("-")
    result = call.emulator.locators.find(locator)
    if result is None or not start.isdigit() or int(start) >= len(result.rows):
        raise ApiError("INVALID_QUERY_LOCATOR", "invalid query locator")
    return _page(call, result, int(start))


def _page(call: Call, result: Result, start: int) -> Reply:
    end = start + result.page_size
    records = _records(call.prefix, result.object, result.columns, result.rows[start:end])
    done = end >= len(result.rows)
    body: dict[str, Any] = {"totalSize": len(result.rows), "done": done}
    if not done:
        call.emulator.locators.keep(result)
        body["nextRecordsUrl"] = f"{call.prefix}/query/{result.id}-{end}"
    body["records"] = records
    return Reply(body=body, records=len(records))


def _records(prefix: str, name: str, columns: tuple[FieldSpec, ...], rows: Iterable[Any]) -> list[dict[str, Any]]:
    makers = [(spec.name, output(spec)) for spec in columns]
    position = next((i for i, spec in enumerate(columns) if spec.name == "Id"), None)
    found = []
    for row in rows:
        attributes = {"type": name}
        if position is not None:
            attributes["url"] = f"{prefix}/sobjects/{name}/{row[position]}"
        record: dict[str, Any] = {"attributes": attributes}
        for (field, make), value in zip(makers, row, strict=True):
            record[field] = None if value is None else make(value)
        found.append(record)
    return found
