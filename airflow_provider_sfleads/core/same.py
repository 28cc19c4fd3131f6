"""Whether a value that would be sent is the one that Salesforce already has."""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_UP, Context, Decimal

from airflow_provider_sfleads.core.describe import SObjectInfo
from airflow_provider_sfleads.core.mapping import Record
from airflow_provider_sfleads.core.values import BLANKS, NUMBERS, number_of, text_of

# Room for every digit of two numbers and a scale; the default of 28 is less than a NUMERIC(38, 0) has.
_EXACT = Context(prec=1000, rounding=ROUND_HALF_UP)


def same_record(lead: SObjectInfo, record: Record, current: Record) -> bool:
    """Whether every field of ``record`` has the same value in ``current``."""
    for name, value in record.items():
        info = lead.find(name)
        if info is None or not same_value(info.type, value, current.get(info.name), scale=info.scale):
            return False
    return True


def same_value(kind: str, sent: object, current: object, *, scale: int = 0) -> bool:
    """Compare as Salesforce stores: text trimmed, numbers at the field's scale, date-times to the second."""
    if kind == "boolean":
        return bool(sent) is bool(current)
    ours, theirs = _blank_as_none(sent), _blank_as_none(current)
    if ours is None or theirs is None:
        return ours is theirs
    return stored(kind, ours, scale=scale) == stored(kind, theirs, scale=scale)


def stored(kind: str, value: object, *, scale: int = 0) -> object:
    """The form in which Salesforce stores a value that is neither blank nor a boolean; equal where the values are."""
    if kind in NUMBERS:
        number = number_of(value)
        return None if number is None else number.quantize(Decimal(1).scaleb(-scale), context=_EXACT)
    if kind == "datetime":
        return _second(value)
    text = text_of(value).strip(BLANKS)
    if kind == "multipicklist":
        return frozenset(text.split(";"))
    return text.lower() if kind == "email" else text


def _blank_as_none(value: object) -> object:
    return None if isinstance(value, str) and not value.strip(BLANKS) else value


def _second(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value)).replace(microsecond=0)
    except ValueError:
        return None
