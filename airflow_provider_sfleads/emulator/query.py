"""`/query`, `/queryAll` and the pages that follow."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from airflow_provider_sfleads.emulator.fields import FieldSpec, ObjectSchema
from airflow_provider_sfleads.emulator.lead_fields import SETUP_OBJECTS
from airflow_provider_sfleads.emulator.locators import Result
from airflow_provider_sfleads.emulator.render import output
from airflow_provider_sfleads.emulator.soql_parser import Query, parse
from airflow_provider_sfleads.emulator.soql_sql import Compiled, compile_query
from airflow_provider_sfleads.emulator.virtual import VirtualLeads
from airflow_provider_sfleads.emulator.wire import ApiError, Call, Reply

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator.state import Emulator

_SETUP_SCHEMAS = {name: ObjectSchema(name, specs) for name, specs in SETUP_OBJECTS.items()}
_MAX_SOQL = 100_000
_SMALLEST_PAGE = 200
_BATCH_SIZE = re.compile(r"batchSize\s*=\s*(\d+)", re.IGNORECASE)


def _schemas(emulator: Emulator) -> dict[str, ObjectSchema]:
    schemas = {**_SETUP_SCHEMAS, "Contact": emulator.contacts, "Lead": emulator.schema}
    return {name: schema for name, schema in schemas.items() if emulator.permissions.sees(name)}


def compiled(emulator: Emulator, parsed: Query, *, include_deleted: bool) -> Compiled:
    """Return the SQL of a query on what the run-as user sees."""
    return compile_query(parsed, _schemas(emulator), include_deleted=include_deleted)


def run(call: Call) -> Reply:
    """`GET /query?q=` and `GET /queryAll?q=`."""
    text = call.query.get("q")
    if not text:
        raise ApiError("MALFORMED_QUERY", "SOQL query is required: parameter q")
    if len(text) > _MAX_SOQL:
        raise ApiError("QUERY_TOO_COMPLICATED", f"SOQL statements cannot be longer than {_MAX_SOQL} characters.")
    emulator = call.emulator
    parsed = parse(text)
    every = call.template.endswith("/queryAll") and "deleted_query" not in emulator.settings.broken
    asked = compiled(emulator, parsed, include_deleted=every)
    with emulator.store.transaction():
        rows: list[Any] = emulator.store.read(asked.sql, asked.parameters)
    virtual = VirtualLeads(emulator)
    named = virtual.asked(parsed) if virtual.count and asked.object == "Lead" else []
    if not asked.columns:
        more = virtual.count if named is None else len(named)
        return Reply(body={"totalSize": rows[0][0] + more, "done": True, "records": []})
    rows += [[virtual.value(spec, number) for spec in asked.columns] for number in named or []]
    result = Result(
        id=emulator.locators.new_id(),
        object=asked.object,
        columns=asked.columns,
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
