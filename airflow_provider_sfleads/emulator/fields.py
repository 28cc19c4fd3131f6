"""What an object's fields are: the one description that validation, describe and SOQL share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

TEXT_TYPES = frozenset({"string", "textarea", "email", "phone", "url", "picklist", "multipicklist", "address"})
NUMBER_TYPES = frozenset({"int", "double", "currency", "percent"})
# A textarea of more characters is a long text area, which SOQL neither filters, sorts nor groups by.
LONGEST_PLAIN_TEXT = 255
_SOAP_TYPES = {
    "boolean": "xsd:boolean",
    "int": "xsd:int",
    "double": "xsd:double",
    "currency": "xsd:double",
    "percent": "xsd:double",
    "date": "xsd:date",
    "datetime": "xsd:dateTime",
    "id": "tns:ID",
    "reference": "tns:ID",
    "address": "urn:address",
}
KNOWN_TYPES = TEXT_TYPES | NUMBER_TYPES | {"boolean", "date", "datetime", "reference", "id"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSpec:
    """One field, in the words of describe.

    `name`, `label`, `type`, `nillable`, `createable`, `updateable`, `defaulted_on_create`, `unique`, `case_sensitive`,
    `restricted` and `reference_to` are there what they are here; `relationship` is its `relationshipName`, `compound`
    its `compoundFieldName`. `length` counts characters of text types; `precision` and `scale` are digits of numbers;
    `digits` is the largest count of digits of an `int`. `default` is written where a create leaves
    the field out. A field that is `external_id` or `id_lookup` can key an upsert. `labels` are those of
    the `picklist`'s values, where they differ from them. What is `always_visible` field-level security
    cannot withhold, though it could of a field like it. An `encrypted` one is so at random (Shield Platform
    Encryption), and no query finds it by its value.
    """

    name: str
    label: str = ""
    type: str = "string"
    length: int = 0
    precision: int = 0
    scale: int = 0
    digits: int = 0
    nillable: bool = True
    createable: bool = True
    updateable: bool = True
    defaulted_on_create: bool = False
    external_id: bool = False
    id_lookup: bool = False
    unique: bool = False
    case_sensitive: bool = False
    restricted: bool = False
    picklist: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    always_visible: bool = False
    encrypted: bool = False
    default: str | float | bool | None = None
    reference_to: tuple[str, ...] = ()
    relationship: str | None = None
    compound: str | None = None

    def __post_init__(self) -> None:
        if self.type not in KNOWN_TYPES:
            message = f"Field {self.name}: unknown type {self.type!r}; known are {sorted(KNOWN_TYPES)}"
            raise ValueError(message)

    @property
    def custom(self) -> bool:
        """Whether an admin made the field."""
        return self.name.endswith("__c")

    @property
    def shown(self) -> str:
        """The label that error messages use."""
        return self.label or self.name

    @property
    def soap_type(self) -> str:
        """The type of its values, as describe and the errors of bulk rows name it."""
        return _SOAP_TYPES.get(self.type, "xsd:string")

    @property
    def is_long_text(self) -> bool:
        """Whether it is a long text area."""
        return self.type == "textarea" and self.length > LONGEST_PLAIN_TEXT

    @property
    def filterable(self) -> bool:
        """Whether describe says that a query may find records by it."""
        return not (self.is_long_text or self.encrypted)

    @property
    def sortable(self) -> bool:
        """Whether a query may order by it."""
        return self.type not in {"address", "multipicklist"} and self.filterable

    @property
    def permissionable(self) -> bool:
        """Whether field-level security can withhold it: neither what a record needs, nor what Salesforce keeps."""
        writable = self.createable and (self.nillable or self.type == "boolean")
        return (writable or self.type == "address") and self.compound != "Name" and not self.always_visible

    @property
    def keyed(self) -> bool:
        """Whether records are looked up by this field, so that it needs an index."""
        return self.external_id or self.id_lookup or self.unique

    @property
    def required(self) -> bool:
        """Whether a create must send it."""
        return not self.nillable and self.createable and not self.defaulted_on_create and self.type != "boolean"

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FieldSpec:
        """Return a field from a JSON object with these attribute names; an unknown name is an error."""
        known = {item.name for item in fields(cls)}
        unknown = sorted(set(data) - known)
        if unknown:
            message = f"Unknown attributes of field {data.get('name')}: {unknown}; known are {sorted(known)}"
            raise ValueError(message)
        if not data.get("name"):
            message = "A field needs a name"
            raise ValueError(message)
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        return cls(**values)


class ObjectSchema:
    """The visible fields of one object, looked up without letter case."""

    def __init__(self, name: str, specs: Iterable[FieldSpec]) -> None:
        self.name = name
        self.fields: dict[str, FieldSpec] = {spec.name: spec for spec in specs}
        self._by_lower = {name.lower(): spec for name, spec in self.fields.items()}
        self.required = tuple(spec for spec in self.fields.values() if spec.required)
        self.not_null = tuple(spec.name for spec in self.fields.values() if not spec.nillable and spec.createable)
        self.keyed = tuple(spec for spec in self.fields.values() if spec.keyed and spec.type != "id")
        self.unique = tuple(spec for spec in self.fields.values() if spec.unique)

    def find(self, name: str) -> FieldSpec | None:
        """Return the field of that name in any letter case."""
        return self.fields.get(name) or self._by_lower.get(name.lower())


def fold(value: str) -> str:
    """Return how Salesforce compares text: without letter case."""
    return value.lower()


def key_of(spec: FieldSpec, value: str | float) -> str:
    """Return the form in which a key field's value is looked up and must be unique."""
    if isinstance(value, str):
        return value if spec.case_sensitive else fold(value)
    return repr(float(value))
