"""sObject Collections: up to 200 records a call, each with an outcome of its own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from airflow_provider_sfleads.emulator.dml import Write, execute
from airflow_provider_sfleads.emulator.drafts import RowResult
from airflow_provider_sfleads.emulator.ids import to_18
from airflow_provider_sfleads.emulator.render import renderer
from airflow_provider_sfleads.emulator.rows import check_lead, headers_of, key_field, selected
from airflow_provider_sfleads.emulator.virtual import VirtualLeads
from airflow_provider_sfleads.emulator.wire import ApiError, Call, Reply, RowError

MAX_RECORDS = 200
_MAX_CHUNKS = 10
_MAX_RETRIEVED = 2000


def _over_limit(limit: int) -> ApiError:
    return ApiError(
        "EXCEEDED_ID_LIMIT",
        f"record limit reached. cannot submit more than {limit} records into this call",
    )


def _page(call: Call) -> tuple[list[dict[str, Any]], bool]:
    data = call.json()
    records = data.get("records") if isinstance(data, dict) else None
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ApiError("JSON_PARSER_ERROR", "The request needs records, a list of objects at [line:1, column:1]")
    all_or_none = data.get("allOrNone", False)
    if not isinstance(all_or_none, bool):
        raise ApiError(
            "JSON_PARSER_ERROR", f"Cannot deserialize instance of boolean from VALUE_STRING value {all_or_none}"
        )
    if not records:
        raise ApiError("REQUIRED_FIELD_MISSING", "At least 1 record is required")
    if len(records) > MAX_RECORDS:
        raise _over_limit(MAX_RECORDS)
    return records, all_or_none or "all_or_none" in call.emulator.settings.broken


def _types(records: Sequence[dict[str, Any]]) -> list[str]:
    found = []
    for record in records:
        attributes = record.get("attributes")
        kind = attributes.get("type") if isinstance(attributes, dict) else None
        if not isinstance(kind, str):
            raise ApiError("MISSING_ARGUMENT", "Each record needs attributes with its type")
        found.append(kind)
    chunks = sum(1 for _ in groupby(kind.lower() for kind in found))
    if chunks > _MAX_CHUNKS:
        raise ApiError(
            "INVALID_OPERATION",
            f"Cannot have more than {_MAX_CHUNKS} chunks in a single operation. "
            "Please rearrange the data to reduce chunking.",
        )
    return found


def _dml(call: Call, records: list[dict[str, Any]], kinds: Sequence[str], write: Write) -> Reply:
    visible = call.emulator.permissions.sees("Lead")
    leads = [i for i, kind in enumerate(kinds) if kind.lower() == "lead" and visible]
    outcomes = dict(zip(leads, execute(call.emulator, [records[i] for i in leads], write), strict=True))
    body = []
    for position, kind in enumerate(kinds):
        result = outcomes.get(position) or _no_such_type(kind, write)
        body.append(_rendered(call, result))
    return Reply(body=body, records=len(records))


def _no_such_type(kind: str, write: Write) -> RowResult:
    error = RowError(code="INVALID_TYPE", message=f"sObject type '{kind}' is not supported.")
    created = False if write.operation == "upsert" else None
    return RowResult(id=None, success=False, created=created, errors=(error,))


def _rendered(call: Call, result: RowResult) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    full = result.success or call.emulator.settings.failed_row_ids == "null"
    if full or result.id is not None:
        shown["id"] = result.id
    shown["success"] = result.success
    shown["errors"] = [error.in_collection() for error in result.errors]
    if result.created is not None and full:
        wrong = "upsert_created" in call.emulator.settings.broken
        shown["created"] = result.created is not wrong if result.success else None
    return shown


def create(call: Call) -> Reply:
    """`POST /composite/sobjects`."""
    records, all_or_none = _page(call)
    write = Write(operation="create", all_or_none=all_or_none, **headers_of(call))
    return _dml(call, records, _types(records), write)


def update(call: Call) -> Reply:
    """`PATCH /composite/sobjects`."""
    records, all_or_none = _page(call)
    write = Write(operation="update", all_or_none=all_or_none, **headers_of(call))
    return _dml(call, records, _types(records), write)


def upsert(call: Call) -> Reply:
    """`PATCH /composite/sobjects/Lead/{field}`."""
    check_lead(call)
    records, all_or_none = _page(call)
    try:
        key = key_field(call, call.params["field"])
    except ApiError as error:
        raise ApiError("INVALID_FIELD", error.body[0]["message"]) from None
    kinds = _types(records)
    if any(kind.lower() != "lead" for kind in kinds):
        raise ApiError("INVALID_TYPE", "All records of an upsert must be of the type in the URL")
    write = Write(operation="upsert", key=key, all_or_none=all_or_none, **headers_of(call))
    return _dml(call, records, kinds, write)


def delete(call: Call) -> Reply:
    """`DELETE /composite/sobjects?ids=`."""
    ids = [part.strip() for part in call.query.get("ids", "").split(",") if part.strip()]
    if not ids:
        raise ApiError("MISSING_ARGUMENT", "The request needs ids")
    if len(ids) > MAX_RECORDS:
        raise _over_limit(MAX_RECORDS)
    all_or_none = call.query.get("allOrNone", "").lower() == "true"
    write = Write(operation="delete", all_or_none=all_or_none, **headers_of(call))
    return _dml(call, [{"Id": lead_id} for lead_id in ids], ["Lead"] * len(ids), write)


def retrieve(call: Call) -> Reply:
    """`GET /composite/sobjects/Lead?ids=&fields=`."""
    ids = call.query.get("ids", "").split(",")
    return _retrieved(call, ids, call.query.get("fields", "").split(","))


def retrieve_by_body(call: Call) -> Reply:
    """`POST /composite/sobjects/Lead` with up to 2,000 ids."""
    data = call.json()
    ids, fields = (data.get("ids"), data.get("fields")) if isinstance(data, dict) else (None, None)
    for given in (ids, fields):
        if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
            raise ApiError("JSON_PARSER_ERROR", "The request needs ids and fields, lists of strings")
    return _retrieved(call, ids or [], fields or [])


def _retrieved(call: Call, ids: list[str], fields: list[str]) -> Reply:
    check_lead(call)
    names = [name for name in fields if name.strip()]
    raw_ids = [raw.strip() for raw in ids if raw.strip()]
    if not raw_ids or not names:
        raise ApiError("MISSING_ARGUMENT", "The request needs ids and fields")
    if len(raw_ids) > _MAX_RETRIEVED:
        raise _over_limit(_MAX_RETRIEVED)
    # What is no id, or not one of a lead, is answered with null in its place (resources_composite_sobjects_
    # collections_retrieve.htm), as is a lead that is not there.
    wanted = [to_18(raw) or "" for raw in raw_ids]
    specs = selected(call, names)
    with call.emulator.store.transaction():
        found = call.emulator.store.by_ids(set(wanted), columns=[spec.name for spec in specs])
    virtual = VirtualLeads(call.emulator)
    for lead_id in wanted if virtual.count else ():
        if lead_id not in found and (number := virtual.named(lead_id)) is not None:
            found[lead_id] = virtual.row(specs, number)
    render = renderer(specs, name="Lead", prefix=call.prefix)
    body = []
    for lead_id in wanted:
        row = found.get(lead_id)
        gone = row is None or (row["IsDeleted"] and "deleted_retrieve" not in call.emulator.settings.broken)
        body.append(None if row is None or gone else render(row))
    return Reply(body=body, records=len(body))
