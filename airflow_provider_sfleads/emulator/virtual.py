"""Leads that exist only as numbers, for benchmarks: lead n has the key K-000000n, and nothing else tells them apart."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_sfleads.emulator.bulk_counting import lead_ids
from airflow_provider_sfleads.emulator.fields import FieldSpec
from airflow_provider_sfleads.emulator.ids import LEAD_PREFIX, SALES_USER_ID, make_id, number_of, to_18
from airflow_provider_sfleads.emulator.json_types import Json
from airflow_provider_sfleads.emulator.soql_parser import Comparison, Condition, Logic, Query
from airflow_provider_sfleads.emulator.soql_tokens import string_value

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator.state import Emulator

KEY_FIELD = "External_Id__c"
_KEY = re.compile(r"k-(\d{7,})", re.IGNORECASE)
_LONG_AGO = "2020-01-01T00:00:00.000+0000"
_FIXED: dict[str, Any] = {
    "LastName": "Virtual",
    "Name": "Virtual",
    "Company": "Virtual",
    "CreatedDate": _LONG_AGO,
    "LastModifiedDate": _LONG_AGO,
    "SystemModstamp": _LONG_AGO,
    "CreatedById": SALES_USER_ID,
    "LastModifiedById": SALES_USER_ID,
}


class VirtualLeads:
    """The leads with the numbers 1 to `count`."""

    def __init__(self, emulator: Emulator) -> None:
        settings = emulator.settings
        self.count = settings.virtual_leads if settings.counting and emulator.permissions.sees("Lead") else 0
        self._fixed = {**emulator.defaults, **_FIXED}

    def named(self, lead_id: str) -> int | None:
        """Return the number of the lead with this 18-character id, where it is one of these."""
        if not lead_id.startswith(LEAD_PREFIX):
            return None
        number = number_of(lead_id)
        return number if 1 <= number <= self.count and make_id(LEAD_PREFIX, number) == lead_id else None

    def keyed(self, key: str) -> int | None:
        """Return the number of the lead with this key."""
        found = _KEY.fullmatch(key)
        number = int(found[1]) if found else 0
        return number if 1 <= number <= self.count and found is not None and found[1] == f"{number:07}" else None

    def value(self, spec: FieldSpec, number: int) -> Json:
        """Return what is stored in a field of a lead."""
        if spec.name == "Id":
            return make_id(LEAD_PREFIX, number)
        if spec.name == KEY_FIELD:
            return f"K-{number:07}"
        return self._fixed.get(spec.name)

    def row(self, specs: Sequence[FieldSpec], number: int) -> dict[str, Any]:
        """Return a lead as the store would give it out."""
        shown = {spec.name: self.value(spec, number) for spec in specs}
        return {**shown, "Id": make_id(LEAD_PREFIX, number), "IsDeleted": 0}

    def column(self, spec: FieldSpec, first: int, count: int) -> Iterator[Json]:
        """Yield a field of the leads from a number on."""
        if spec.name == "Id":
            return lead_ids(first, count)
        if spec.name == KEY_FIELD:
            return (f"K-{number:07}" for number in range(first, first + count))
        same = self._fixed.get(spec.name)
        return (same for _ in range(count))

    def asked(self, query: Query) -> list[int] | None:
        """Return the numbers of the leads whose ids or keys a query names; None where it names none."""
        named = None if query.where is None else _named(query.where)
        if named is None:
            return None
        found = set()
        for token in named.literals:
            text = string_value(token, query.text) if token.kind == "string" else ""
            lead_id = to_18(text)
            number = self.named(lead_id) if lead_id else self.keyed(text)
            if number is not None:
                found.add(number)
        return sorted(found)


def _named(where: Condition) -> Comparison | None:
    """Return the comparison of a condition that lists ids or keys."""
    if isinstance(where, Logic):
        parts = where.parts if where.operator == "AND" else ()
        return next((found for part in parts if (found := _named(part)) is not None), None)
    lists = where.operator in {"=", "IN"} and where.literals[0].kind == "string"
    return where if lists and where.field.text.lower() in {"id", KEY_FIELD.lower()} else None
