"""Single leads: `/sobjects/Lead`, by id and by external id."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from airflow_provider_sfleads.emulator import dml
from airflow_provider_sfleads.emulator.dml import Write, execute
from airflow_provider_sfleads.emulator.drafts import RowResult
from airflow_provider_sfleads.emulator.fields import FieldSpec, key_of
from airflow_provider_sfleads.emulator.ids import LEAD_PREFIX, to_18
from airflow_provider_sfleads.emulator.json_types import Json
from airflow_provider_sfleads.emulator.render import renderer
from airflow_provider_sfleads.emulator.values import FieldProblem, converter
from airflow_provider_sfleads.emulator.wire import ApiError, Call, Reply, RowError, not_found

_RESULTS_SAY_CREATED_FROM = 46.0
_KEY_IN_BODY = "The {} field should not be specified in the sobject data."


def headers_of(call: Call) -> dict[str, Any]:
    """Return what the request's headers say about a write."""
    rule = call.headers.get("sforce-duplicate-rule-header", "")
    broken = call.emulator.settings.broken
    allow_save = "allowsave=true" in rule.lower().replace(" ", "") and "allow_save" not in broken
    return {
        "request": call.number,
        "auto_assign": None if "auto_assign" in broken else call.headers.get("sforce-auto-assign"),
        "allow_save": allow_save,
    }


def check_lead(call: Call) -> None:
    """Only Lead has rows here, and only for a run-as user who may see it."""
    if call.params["sobject"].lower() != "lead" or not call.emulator.permissions.sees("Lead"):
        raise not_found()


def _record(call: Call) -> dict[str, Any]:
    data = call.json()
    if not isinstance(data, dict):
        raise ApiError("JSON_PARSER_ERROR", "The request body must be a JSON object at [line:1, column:1]")
    return data


def _refusal(call: Call, errors: tuple[RowError, ...]) -> Reply:
    body = []
    for error in errors:
        item: dict[str, Any] = {"message": error.message, "errorCode": error.code, "fields": list(error.fields)}
        if error.code == "DUPLICATES_DETECTED":
            del item["fields"]
            item = {"duplicateResut": _duplicate_result(call, error), **item}
        body.append(item)
    return Reply(status=max(error.status for error in errors), body=body, records=1)


def _duplicate_result(call: Call, error: RowError) -> dict[str, Any]:
    matches = [
        {
            "additionalInformation": [],
            "fieldDiffs": [],
            "matchConfidence": 100.0,
            "record": {
                "attributes": {"type": "Lead", "url": f"{call.prefix}/sobjects/Lead/{lead_id}"},
                "Id": lead_id,
            },
        }
        for lead_id in error.matches
    ]
    found = {
        "entityType": "Lead",
        "errors": [],
        "matchEngine": "ExactMatchEngine",
        "rule": "Standard_Lead_Match_Rule_v1_0",
        "size": len(matches),
        "success": True,
        "matchRecords": matches,
    }
    return {
        "allowSave": error.allow_save,
        "duplicateRule": "Standard_Lead_Duplicate_Rule",
        "duplicateRuleEntityType": "Lead",
        "errorMessage": error.message,
        "matchResults": [found],
    }


def _created(result: RowResult) -> dict[str, Any]:
    return {"id": result.id, "success": True, "errors": []}


def create(call: Call) -> Reply:
    """`POST /sobjects/Lead`, and `POST /sobjects/Lead/Id`, which is the same."""
    check_lead(call)
    write = Write(operation="create", **headers_of(call))
    (result,) = execute(call.emulator, [_record(call)], write)
    if not result.success:
        return _refusal(call, result.errors)
    return Reply(status=201, body=_created(result), records=1)


def _lead_id(call: Call) -> str:
    raw = call.params["id"]
    lead_id = to_18(raw)
    if lead_id is None:
        raise not_found(f"Provided external ID field does not exist or is not accessible: {raw}")
    if not lead_id.startswith(LEAD_PREFIX):
        raise not_found()
    return lead_id


def update(call: Call) -> Reply:
    """`PATCH /sobjects/Lead/{id}`."""
    check_lead(call)
    return _change(call, _record(call), "update")


def delete(call: Call) -> Reply:
    """`DELETE /sobjects/Lead/{id}`."""
    check_lead(call)
    return _change(call, {}, "delete")


def _change(call: Call, record: Mapping[str, Any], operation: Json) -> Reply:
    if any(name.lower() == "id" for name in record):
        raise ApiError("INVALID_FIELD", _KEY_IN_BODY.format("Id"), fields=("Id",))
    write = Write(operation=operation, **headers_of(call))
    (result,) = execute(call.emulator, [{**record, "Id": _lead_id(call)}], write)
    if result.success:
        return Reply(status=204, records=1)
    if result.errors[0].code == "INVALID_CROSS_REFERENCE_KEY" and result.errors[0].status == HTTPStatus.NOT_FOUND:
        raise not_found()
    return _refusal(call, result.errors)


def key_field(call: Call, name: str) -> FieldSpec:
    """Return the field that keys an upsert."""
    spec = call.emulator.schema.find(name)
    if spec is None or not (spec.external_id or spec.id_lookup) or spec.type == "id":
        raise not_found(f"Provided external ID field does not exist or is not accessible: {name}")
    return spec


def _key_value(call: Call, spec: FieldSpec) -> str | float:
    raw: Any = call.params["value"]
    if spec.type == "double":
        try:
            raw = float(raw)
        except ValueError:
            raise not_found() from None
    try:
        value = converter(spec)(raw)
    except FieldProblem as problem:
        raise ApiError(problem.code, problem.message, fields=(problem.field,)) from None
    if value is None:
        raise not_found()
    return value


def upsert(call: Call) -> Reply:
    """`PATCH /sobjects/Lead/{field}/{value}`."""
    check_lead(call)
    spec = key_field(call, call.params["field"])
    record = _record(call)
    if any(name.lower() == spec.name.lower() for name in record):
        raise ApiError("INVALID_FIELD", _KEY_IN_BODY.format(spec.name), fields=(spec.name,))
    update_only = call.query.get("updateOnly", "").lower() == "true"
    write = dml.Write(operation="upsert", key=spec, update_only=update_only, **headers_of(call))
    (result,) = execute(call.emulator, [{**record, spec.name: _key_value(call, spec)}], write)
    if not result.success:
        if result.errors[0].code == "DUPLICATE_EXTERNAL_ID":
            return _ambiguous(call, spec)
        return _refusal(call, result.errors)
    if call.version < _RESULTS_SAY_CREATED_FROM and not result.created:
        return Reply(status=204, records=1)
    body = {**_created(result), "created": bool(result.created)}
    return Reply(status=201 if result.created else 200, body=body, records=1)


def _ids_of_key(call: Call, spec: FieldSpec) -> list[str]:
    key = key_of(spec, _key_value(call, spec))
    with call.emulator.store.transaction():
        return call.emulator.store.find_keys(spec.name, [key]).get(key, [])


def _ambiguous(call: Call, spec: FieldSpec) -> Reply:
    urls = [f"{call.prefix}/sobjects/Lead/{lead_id}" for lead_id in _ids_of_key(call, spec)]
    return Reply(status=300, body=urls)


def selected(call: Call, names: list[str]) -> list[FieldSpec]:
    """Return the fields of these names, each of which must exist."""
    found = []
    for name in names:
        spec = call.emulator.schema.find(name.strip())
        if spec is None:
            raise ApiError("INVALID_FIELD", f"No such column '{name.strip()}' on sobject of type Lead")
        found.append(spec)
    return found


def _show(call: Call, lead_id: str) -> Reply:
    names = [name for name in call.query.get("fields", "").split(",") if name.strip()]
    specs = selected(call, names) if names else list(call.emulator.schema.fields.values())
    if names and all(spec.name != "Id" for spec in specs):
        specs.append(call.emulator.schema.fields["Id"])
    with call.emulator.store.transaction():
        row = call.emulator.store.by_ids([lead_id]).get(lead_id)
    if row is None:
        raise not_found()
    if row["IsDeleted"]:
        raise ApiError("ENTITY_IS_DELETED", "entity is deleted", status=404)
    return Reply(body=renderer(specs, name="Lead", prefix=call.prefix)(row), records=1)


def show(call: Call) -> Reply:
    """`GET /sobjects/Lead/{id}`."""
    check_lead(call)
    return _show(call, _lead_id(call))


def show_by_key(call: Call) -> Reply:
    """`GET /sobjects/Lead/{field}/{value}`."""
    check_lead(call)
    spec = key_field(call, call.params["field"])
    ids = _ids_of_key(call, spec)
    if len(ids) > 1:
        return _ambiguous(call, spec)
    if not ids:
        raise not_found()
    return _show(call, ids[0])


def delete_by_key(call: Call) -> Reply:
    """`DELETE /sobjects/Lead/{field}/{value}`."""
    check_lead(call)
    spec = key_field(call, call.params["field"])
    ids = _ids_of_key(call, spec)
    if len(ids) > 1:
        return _ambiguous(call, spec)
    if not ids:
        raise not_found()
    write = Write(operation="delete", **headers_of(call))
    (result,) = execute(call.emulator, [{"Id": ids[0]}], write)
    return Reply(status=204, records=1) if result.success else _refusal(call, result.errors)
