"""People who do not exist: a value for each field that this org requires of a lead."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from airflow_provider_sfleads.core.describe import FieldInfo, SObjectInfo
from airflow_provider_sfleads.core.mapping import Record
from airflow_provider_sfleads.core.values import FieldValue

# Fields that tell people apart; duplicate rules match by them.
_PERSON = ("FirstName", "LastName", "Company", "Email", "Title")
_DIGITS = 8
_LETTERS = str.maketrans("0123456789abcdef", "bcdfghklmnprstvz")


def word(seed: str) -> str:
    """Return ten letters that are the same each time for a seed and unlike those of another: no rule matches them."""
    return hashlib.blake2b(seed.encode(), digest_size=5).hexdigest().translate(_LETTERS).capitalize()


def without_value(lead: SObjectInfo) -> tuple[str, ...]:
    """Return the required fields for which no value can be made up, such as a look-up of another object."""
    return tuple(
        f"{info.name} ({info.type})"
        for info in lead.required_on_create
        if info.type not in _MAKERS or (info.type in _CHOICES and not info.picklist_values)
    )


def person(lead: SObjectInfo, seed: str) -> dict[str, FieldValue]:
    """Return a lead's values: all required fields, and what else tells people apart where it may be written.

    E-mail addresses end in ``example.invalid``, a domain that no mail can reach (RFC 2606).
    """
    known = {name: info for name in _PERSON if (info := lead.find(name)) is not None and info.createable}
    wanted = known | {info.name: info for info in lead.required_on_create}
    return {name: _MAKERS[info.type](info, word(seed + name)) for name, info in wanted.items() if info.type in _MAKERS}


def renamed(lead: SObjectInfo, seed: str) -> Record:
    """Return another last name: what an update of the check changes."""
    info = lead.find("LastName")
    return {"LastName": _text(info, word(seed)) if info else word(seed)}


def _text(info: FieldInfo, letters: str) -> FieldValue:
    return f"{letters} Trial"[: info.length or None]


def _number(info: FieldInfo, letters: str) -> FieldValue:
    room = min(info.digits or info.precision - info.scale or 1, _DIGITS)
    return int.from_bytes(letters.encode()) % 10**room if info.unique else 1


def _email(info: FieldInfo, letters: str) -> FieldValue:  # noqa: ARG001 - one of many makers
    return f"{letters.lower()}@example.invalid"


def _choice(info: FieldInfo, letters: str) -> FieldValue:  # noqa: ARG001
    return next(iter(info.picklist_values), None)


def _constant(value: FieldValue) -> Callable[[FieldInfo, str], FieldValue]:
    return lambda _info, _letters: value


_CHOICES = frozenset({"picklist", "multipicklist"})
_MAKERS: dict[str, Callable[[FieldInfo, str], FieldValue]] = {
    **dict.fromkeys(("string", "textarea", "encryptedstring", "combobox"), _text),
    **dict.fromkeys(("int", "long", "double", "currency", "percent"), _number),
    **dict.fromkeys(_CHOICES, _choice),
    "email": _email,
    "phone": _constant("5550100"),
    "url": _constant("https://example.invalid"),
    "date": _constant("2024-02-29"),
    "datetime": _constant("2024-02-29T12:00:00.000Z"),
    "time": _constant("12:00:00.000Z"),
}
