"""What ``describe`` says of an sObject, as far as a sync needs it.

Salesforce filters describe by the running user's field-level security: an absent field does not exist or
may not be seen (REST API Developer Guide, "sObject Describe").
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: Brings text into the form in which it is compared where letter case does not count.
#: lower() and not casefold(): the latter would take "straße" and "strasse" for one value.
without_case: Callable[[str], str] = str.lower

_PICKLISTS = frozenset({"picklist", "multipicklist"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldInfo:
    """One field of an sObject, with its type in Salesforce's own spelling.

    ``picklist_values`` are the active ones, ``inactive_values`` the others, both as the org spells them.
    """

    name: str
    type: str
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
    restricted_picklist: bool = False
    picklist_values: Collection[str] = ()
    inactive_values: Collection[str] = ()
    _spellings: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the values of a picklist; active ones go first, and the exact spelling before all others."""
        known = {self.compared(value): value for value in (*self.inactive_values, *self.picklist_values)}
        object.__setattr__(self, "_spellings", known | {value: value for value in self.picklist_values})

    @property
    def ignores_case(self) -> bool:
        """Whether values that differ in letter case alone are one value: e-mail addresses and those of picklists.

        Salesforce holds for a picklist's values, listed or not, that the first spelling is that of all (Object
        Reference, "Picklist Field Type"; Salesforce Help, article 000386557).
        """
        return self.type == "email" or (self.type in _PICKLISTS and not self.case_sensitive)

    def compared(self, value: str) -> str:
        """Bring one value, of a multi-select picklist one choice, into the form in which Salesforce compares it.

        :param value: without blanks around it.
        """
        return without_case(value) if self.ignores_case else value

    def spelled(self, value: str) -> str:
        """Spell one value as the org does; what its picklist does not know, and other fields' text, stays as it is.

        :param value: without blanks around it.
        """
        return self._spellings.get(value) or self._spellings.get(self.compared(value), value)

    @property
    def required_on_create(self) -> bool:
        """Whether an insert without a value fails; layouts and validation rules may ask for more."""
        return self.createable and not (self.nillable or self.defaulted_on_create or self.type == "boolean")


@dataclass(frozen=True, slots=True, kw_only=True)
class SObjectInfo:
    """An sObject's fields, found without regard to letter case as Salesforce does."""

    name: str
    fields: Mapping[str, FieldInfo] = field(repr=False)

    def find(self, name: str) -> FieldInfo | None:
        """The field of that name, or ``None`` where it does not exist or may not be seen."""
        return self.fields.get(name.lower())

    @property
    def required_on_create(self) -> tuple[FieldInfo, ...]:
        """The fields that an insert cannot do without."""
        return tuple(info for info in self.fields.values() if info.required_on_create)


def parse_describe(body: Mapping[str, Any]) -> SObjectInfo:
    """Read the body of ``GET /sobjects/<name>/describe``."""
    infos = (_field(raw) for raw in body["fields"])
    return SObjectInfo(name=body["name"], fields={info.name.lower(): info for info in infos})


def _field(raw: Mapping[str, Any]) -> FieldInfo:
    values: Sequence[Mapping[str, Any]] = raw.get("picklistValues") or ()
    return FieldInfo(
        name=raw["name"],
        type=raw["type"],
        length=raw.get("length") or 0,
        precision=raw.get("precision") or 0,
        scale=raw.get("scale") or 0,
        digits=raw.get("digits") or 0,
        nillable=bool(raw.get("nillable")),
        createable=bool(raw.get("createable")),
        updateable=bool(raw.get("updateable")),
        defaulted_on_create=bool(raw.get("defaultedOnCreate")),
        external_id=bool(raw.get("externalId")),
        id_lookup=bool(raw.get("idLookup")),
        unique=bool(raw.get("unique")),
        case_sensitive=bool(raw.get("caseSensitive")),
        restricted_picklist=bool(raw.get("restrictedPicklist")),
        picklist_values=tuple(value["value"] for value in values if value.get("active", True)),
        inactive_values=tuple(value["value"] for value in values if not value.get("active", True)),
    )
