"""`describe`, `/sobjects` and what they say of each field."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

from airflow_provider_sfleads.emulator.fields import FieldSpec, ObjectSchema
from airflow_provider_sfleads.emulator.ids import MASTER_RECORD_TYPE_ID
from airflow_provider_sfleads.emulator.permissions import ACTIONS
from airflow_provider_sfleads.emulator.wire import Call, Reply, not_found

_UNCOUNTED = frozenset({"address", "boolean", "multipicklist"})
_UNGROUPED = frozenset({"address", "currency", "datetime", "double", "multipicklist", "percent"})
# What this org has of no field: formulas, encryption, masks, dependent picklists, predictions.
_OF_NO_FIELD: dict[str, Any] = {
    "aiPredictionField": False,
    "autoNumber": False,
    "calculated": False,
    "calculatedFormula": None,
    "cascadeDelete": False,
    "controllerName": None,
    "defaultValueFormula": None,
    "dependentPicklist": False,
    "deprecatedAndHidden": False,
    "displayLocationInDecimal": False,
    "filteredLookupInfo": None,
    "formulaTreatNullNumberAsZero": False,
    "highScaleNumber": False,
    "htmlFormatted": False,
    "inlineHelpText": None,
    "mask": None,
    "maskType": None,
    "referenceTargetField": None,
    "relationshipOrder": None,
    "restrictedDelete": False,
    "writeRequiresMasterRead": False,
}


def describe_field(spec: FieldSpec) -> dict[str, Any]:
    """Return one field as describe tells it."""
    polymorphic = len(spec.reference_to) > 1
    return {
        **_OF_NO_FIELD,
        "aggregatable": spec.type not in _UNCOUNTED and not spec.is_long_text,
        "byteLength": spec.length if spec.type in {"id", "reference"} else spec.length * 3,
        "caseSensitive": spec.case_sensitive,
        "compoundFieldName": spec.compound,
        "createable": spec.createable,
        "custom": spec.custom,
        "defaultValue": spec.default,
        "defaultedOnCreate": spec.defaulted_on_create,
        "digits": spec.digits,
        "encrypted": spec.encrypted,
        "externalId": spec.external_id,
        "extraTypeInfo": _extra_type(spec),
        "filterable": spec.filterable,
        "groupable": spec.type not in _UNGROUPED and not spec.is_long_text,
        "idLookup": spec.id_lookup,
        "label": spec.shown,
        "length": spec.length,
        "name": spec.name,
        "nameField": spec.name == "Name",
        "namePointing": polymorphic,
        "nillable": spec.nillable,
        "permissionable": spec.permissionable,
        "picklistValues": _choices(spec),
        "polymorphicForeignKey": polymorphic,
        "precision": spec.precision,
        "queryByDistance": spec.type == "address",
        "referenceTo": list(spec.reference_to),
        "relationshipName": spec.relationship,
        "restrictedPicklist": spec.restricted,
        "scale": spec.scale,
        "searchPrefilterable": bool(spec.reference_to) and not {"Lead", "User"} & set(spec.reference_to),
        "soapType": spec.soap_type,
        "sortable": spec.sortable,
        "type": spec.type,
        "unique": spec.unique,
        "updateable": spec.updateable,
    }


def _extra_type(spec: FieldSpec) -> str | None:
    if spec.type == "textarea":
        return "plaintextarea"
    if "Name" in {spec.name, spec.compound}:
        return "personname"
    return "imageurl" if spec.name == "PhotoUrl" else None


def _choices(spec: FieldSpec) -> list[dict[str, Any]]:
    return [
        {"active": True, "defaultValue": value == spec.default, "label": label, "validFor": None, "value": value}
        for value, label in zip(spec.picklist, spec.labels or spec.picklist, strict=True)
    ]


def _summary(name: str, key_prefix: str, base: str, *, allowed: Collection[str] = ()) -> dict[str, Any]:
    return {
        "name": name,
        "label": name,
        "labelPlural": f"{name}s",
        "keyPrefix": key_prefix,
        "activateable": False,
        "createable": "Create" in allowed,
        "custom": False,
        "customSetting": False,
        "deletable": "Delete" in allowed,
        "deprecatedAndHidden": False,
        "feedEnabled": name == "Lead",
        "layoutable": True,
        "mergeable": "Delete" in allowed,
        "mruEnabled": True,
        "queryable": True,
        "replicateable": True,
        "retrieveable": True,
        "searchable": True,
        "triggerable": True,
        "undeletable": "Delete" in allowed,
        "updateable": "Edit" in allowed,
        "urls": {
            "sobject": f"{base}/sobjects/{name}",
            "describe": f"{base}/sobjects/{name}/describe",
            "rowTemplate": f"{base}/sobjects/{name}/{{ID}}",
        },
    }


# What no object of this org has, and what Lead has beyond the summary.
_OF_THE_OBJECT: dict[str, Any] = {
    "associateEntityType": None,
    "associateParentEntity": None,
    "deepCloneable": False,
    "defaultImplementation": None,
    "extendedBy": None,
    "extendsInterfaces": None,
    "hasSubtypes": False,
    "implementedBy": None,
    "implementsInterfaces": None,
    "isInterface": False,
    "isSubtype": False,
    "listviewable": None,
    "lookupLayoutable": None,
    "namedLayoutInfos": [],
    "networkScopeFieldName": None,
    "searchLayoutable": True,
    "sobjectDescribeOption": "FULL",
}


def describe_object(schema: ObjectSchema, base: str, allowed: Collection[str] = ACTIONS) -> dict[str, Any]:
    """Return all that describe tells of Lead."""
    master = {
        "recordTypeId": MASTER_RECORD_TYPE_ID,
        "name": "Master",
        "developerName": "Master",
        "active": True,
        "available": True,
        "master": True,
        "defaultRecordTypeMapping": True,
        "urls": {"layout": f"{base}/sobjects/{schema.name}/describe/layouts/{MASTER_RECORD_TYPE_ID}"},
    }
    return {
        **_OF_THE_OBJECT,
        **_summary(schema.name, "00Q", base, allowed=allowed),
        "childRelationships": [],
        "compactLayoutable": True,
        "fields": [describe_field(spec) for spec in schema.fields.values()],
        "recordTypeInfos": [master],
        "supportedScopes": [],
    }


def lead(call: Call) -> Reply:
    """`GET /sobjects/Lead/describe`, which a client may keep until it changes."""
    _check_lead(call)
    changed = datetime.fromtimestamp(call.emulator.described_at, tz=UTC)
    headers = {"Last-Modified": format_datetime(changed, usegmt=True)}
    since = call.headers.get("if-modified-since")
    if since is not None and _not_newer(changed, since):
        return Reply(status=304, headers=headers)
    return Reply(body=describe_object(call.emulator.schema, call.prefix, _allowed(call)), headers=headers)


def _not_newer(changed: datetime, since: str) -> bool:
    try:
        return changed <= parsedate_to_datetime(since)
    except (TypeError, ValueError):
        return False


def _check_lead(call: Call) -> None:
    if call.params["sobject"].lower() != "lead" or not call.emulator.permissions.sees("Lead"):
        raise not_found()


def _allowed(call: Call) -> list[str]:
    return [action for action in ACTIONS if call.emulator.permissions.may(action)]


def basic(call: Call) -> Reply:
    """`GET /sobjects/Lead`."""
    _check_lead(call)
    summary = _summary("Lead", "00Q", call.prefix, allowed=_allowed(call))
    return Reply(body={"objectDescribe": summary, "recentItems": []})


def everything(call: Call) -> Reply:
    """`GET /sobjects`: the objects that the run-as user sees."""
    allowed = {"Lead": _allowed(call)}
    known = {"Lead": "00Q", "Contact": "003", "User": "005", "Group": "00G"}
    found = [
        _summary(name, prefix, call.prefix, allowed=allowed.get(name, ()))
        for name, prefix in known.items()
        if call.emulator.permissions.sees(name)
    ]
    return Reply(body={"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": found})
