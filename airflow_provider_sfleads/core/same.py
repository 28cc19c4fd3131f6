"""Whether a value that would be sent is the one that Salesforce already has."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Context, Decimal

from airflow_provider_sfleads.core.text import BLANKS, number_of, text_of
from airflow_provider_sfleads.core.values import NUMBERS
from airflow_provider_sfleads.salesforce.describe import FieldInfo, SObjectInfo
from airflow_provider_sfleads.salesforce.wire import Record

# Room for every digit of two numbers and a scale; the default of 28 is less than a NUMERIC(38, 0) has.
_EXACT = Context(prec=1000, rounding=ROUND_HALF_UP)
# What is no number, or no date, equals whatever else is none.
_NONE = "\0"
# Assignment rules give a new lead its owner, whatever was sent.
_ROUTED = "OwnerId"
# Salesforce puts in a value of its own where none is sent.
_FILLED = frozenset({"boolean", "picklist", "multipicklist", "reference"})


def same_record(lead: SObjectInfo, record: Record, current: Record) -> bool:
    """Return whether every field of ``record`` has the same value in ``current``."""
    infos = ((lead.find(name), value) for name, value in record.items())
    return all(info is not None and same_value(info, value, current.get(info.name)) for info, value in infos)


def made_of(lead: SObjectInfo, record: Record, current: Record) -> bool:
    """Return whether ``current`` may be what Salesforce made of ``record`` as a new lead."""
    infos = ((lead.find(name), value) for name, value in record.items())
    return all(info is not None and may_become(info, value, current.get(info.name)) for info, value in infos)


def may_become(info: FieldInfo, sent: object, current: object) -> bool:
    """Return whether a field of a new lead may hold ``current`` where ``sent`` was sent."""
    if info.name == _ROUTED or (sent is None and (info.type in _FILLED or info.defaulted_on_create)):
        return True
    return same_value(info, sent, current)


def same_value(info: FieldInfo, sent: object, current: object) -> bool:
    """Compare as Salesforce stores: text trimmed, numbers at the field's scale, date-times to the second."""
    return comparable(info, sent) == comparable(info, current)


def comparable(info: FieldInfo, value: object) -> str:
    """Bring a value into the text that is equal for two values exactly where Salesforce stores them as the same.

    :param value: of a record that is sent, or as Salesforce answers it, in JSON or as text.
    :return: empty where the field holds nothing.
    """
    if info.type == "boolean":
        # A checkbox has no blank: what is not checked is unchecked.
        return "true" if text_of(value).strip(BLANKS).lower() == "true" else "false"
    if value is None or (isinstance(value, str) and not value.strip(BLANKS)):
        return ""
    if info.type in NUMBERS:
        number = number_of(value)
        return _NONE if number is None else text_of(number.quantize(Decimal(1).scaleb(-info.scale), context=_EXACT))
    if info.type == "datetime":
        return _second(str(value))
    text = text_of(value).strip(BLANKS)
    if info.type == "multipicklist":
        return ";".join(sorted(set(map(info.compared, text.split(";"))))) or ";"
    return info.compared(text)


def _second(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text).replace(microsecond=0)
        return moment.astimezone(UTC).isoformat() if moment.tzinfo else moment.isoformat()
    except (ValueError, OverflowError):
        return _NONE
