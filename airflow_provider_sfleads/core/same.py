"""Whether a value that would be sent is the one that Salesforce already has."""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_UP, Context, Decimal

from airflow_provider_sfleads.core.describe import FieldInfo, SObjectInfo
from airflow_provider_sfleads.core.mapping import Record
from airflow_provider_sfleads.core.values import BLANKS, NUMBERS, number_of, text_of

# Room for every digit of two numbers and a scale; the default of 28 is less than a NUMERIC(38, 0) has.
_EXACT = Context(prec=1000, rounding=ROUND_HALF_UP)
# Assignment rules give a new lead its owner, whatever was sent.
_ROUTED = "OwnerId"
# Salesforce puts in a value of its own where none is sent.
_FILLED = frozenset({"boolean", "picklist", "multipicklist", "reference"})


def same_record(lead: SObjectInfo, record: Record, current: Record) -> bool:
    """Whether every field of ``record`` has the same value in ``current``."""
    for name, value in record.items():
        info = lead.find(name)
        if info is None or not same_value(info, value, current.get(info.name)):
            return False
    return True


def made_of(lead: SObjectInfo, record: Record, current: Record) -> bool:
    """Whether ``current`` may be what Salesforce made of ``record`` as a new lead."""
    infos = ((lead.find(name), value) for name, value in record.items())
    return all(info is not None and may_become(info, value, current.get(info.name)) for info, value in infos)


def may_become(info: FieldInfo, sent: object, current: object) -> bool:
    """Whether a field of a new lead may hold ``current`` where ``sent`` was sent."""
    if info.name == _ROUTED or (sent is None and (info.type in _FILLED or info.defaulted_on_create)):
        return True
    return same_value(info, sent, current)


def same_value(info: FieldInfo, sent: object, current: object) -> bool:
    """Compare as Salesforce stores: text trimmed, numbers at the field's scale, date-times to the second."""
    if info.type == "boolean":
        return bool(sent) is bool(current)
    ours, theirs = _blank_as_none(sent), _blank_as_none(current)
    if ours is None or theirs is None:
        return ours is theirs
    return stored(info, ours) == stored(info, theirs)


def stored(info: FieldInfo, value: object) -> object:
    """The form in which Salesforce stores a value that is neither blank nor a boolean; equal where the values are."""
    if info.type in NUMBERS:
        number = number_of(value)
        return None if number is None else number.quantize(Decimal(1).scaleb(-info.scale), context=_EXACT)
    if info.type == "datetime":
        return _second(value)
    text = text_of(value).strip(BLANKS)
    if info.type == "multipicklist":
        return frozenset(map(info.compared, text.split(";")))
    return info.compared(text)


def _blank_as_none(value: object) -> object:
    return None if isinstance(value, str) and not value.strip(BLANKS) else value


def _second(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value)).replace(microsecond=0)
    except ValueError:
        return None
