"""Read a value of the export as text, number, moment or choices; and write it as text that a CSV cell can hold."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation

# Salesforce trims these and nothing else: str.strip() would also take U+0085 and U+2028, which are data.
BLANKS = " \t\r\n"

# Digits to which a number is written out: 1e9999999 would fill the memory.
_WRITTEN_OUT = 400

# Eight digits are a date's basic form; seconds since 1970 have nine or ten, milliseconds twelve or thirteen.
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8}|[0-9]{4}-W[0-9]{2}-[0-9]"
_HOUR, _SIXTIETH, _FRACTION = r"(?:[01][0-9]|2[0-3])", r"[0-5][0-9]", r"(?:[.,][0-9]{1,12})"
_MINUTES = rf":{_SIXTIETH}(?::{_SIXTIETH}{_FRACTION}?)?"
_BASIC_CLOCK = rf"{_HOUR}{_SIXTIETH}(?:{_SIXTIETH}{_FRACTION}?)?"
# No zone of the tz database was ever farther from UTC.
_OFFSET = rf"[+-](?:0[0-9]|1[0-5])(?:{_SIXTIETH}|:{_SIXTIETH}(?::{_SIXTIETH})?)?"
_ZONE = rf" ?(?P<zone>[Zz]|UTC|{_OFFSET})"
# The name of a zone says nothing that the offset before it does not (https://www.rfc-editor.org/rfc/rfc9557).
_ZONE_NAME = r"(?:\[[A-Za-z0-9_+/-]+\])?"
_DATETIME = re.compile(
    rf"(?P<date>{_DATE})"
    rf"(?:(?:[Tt ](?P<clock>{_HOUR}{_MINUTES})|(?<=[0-9]{{8}})T(?P<basic>{_BASIC_CLOCK}))(?:{_ZONE}{_ZONE_NAME})?)?"
)
# Drivers write 9:00:00, which ISO 8601 does not know.
_TIME = re.compile(rf"[Tt]?(?P<clock>(?:[0-9]|{_HOUR}){_MINUTES})(?:{_ZONE})?")


def is_null(value: object) -> bool:
    """Return whether a value stands for "nothing": ``None``, blank text, NaN, NaT or a missing-value marker."""
    if value is None:
        return True
    if isinstance(value, str):
        return not value.strip(BLANKS)
    if isinstance(value, Decimal):
        return value.is_nan()
    try:
        return bool(value != value)  # noqa: PLR0124 - only the not-a-numbers differ from themselves
    except (TypeError, ValueError):
        # pandas.NA answers NA to every comparison, and NA has no truth value.
        return type(value).__name__ == "NAType"


def is_container(value: object) -> bool:
    """Return whether a value holds several (list, bytes, array ...), so that it is no text and no key."""
    return not isinstance(value, str) and isinstance(value, Iterable)


def is_unicode(text: str) -> bool:
    """Return whether text can be sent at all: a lone surrogate has no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def text_of(value: object) -> str:
    """Return a value as text: whole floats and decimals without ``.0``, booleans in lower case, line breaks as LF.

    It is read as the value itself is: the same text, number, date, time and truth come of both. Only floats beyond
    2**53 have more digits as text, all of them; Salesforce, which stores a float, gets the same.
    """
    if isinstance(value, str):
        return value.replace("\r\n", "\n").replace("\r", "\n") if "\r" in value else value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, Decimal):
        return _decimal_text(value)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    return span_text(value) if isinstance(value, timedelta) else text_of(str(value))


def span_text(value: timedelta) -> str:
    """Return a span of time as hh:mm:ss, as databases write it: within a day just as a time of day."""
    spent = abs(timedelta(days=value.days, seconds=value.seconds, microseconds=value.microseconds))
    minutes, seconds = divmod(spent.days * 86_400 + spent.seconds, 60)
    text = f"{'-' if value.days < 0 else ''}{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
    return f"{text}.{spent.microseconds:06}" if spent.microseconds else text


def _decimal_text(value: Decimal) -> str:
    # Not normalize(), which rounds to 28 digits and so takes two long keys for one.
    if not value.is_finite() or abs(value.adjusted()) > _WRITTEN_OUT:
        return str(value)
    text = format(value, "f") if value else "0"
    return text.rstrip("0").rstrip(".") if "." in text else text


def choices_of(value: object) -> tuple[str, ...] | None:
    """Return the choices of a multi-select, trimmed.

    ``None`` where a value is neither text with semicolons nor a list.
    """
    parts = value if isinstance(value, (list, tuple, set, frozenset)) else (value,)
    if any(map(is_container, parts)):
        return None
    text = ";".join(text_of(part) for part in parts if not is_null(part))
    return tuple(choice for part in text.split(";") if (choice := part.strip(BLANKS)))


def number_of(value: object) -> Decimal | None:
    """Return a finite number of a sane size, or ``None`` where the value is none; booleans are none."""
    if isinstance(value, bool):
        return None
    text = str(value).strip(BLANKS)
    if "_" in text:
        # Decimal reads 7_5 as Python does, people and Salesforce do not.
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number.adjusted()) <= _WRITTEN_OUT else None


def cell_text(value: object) -> str:
    """Return the text of which the sync makes what it makes of the value itself: the same key, and the same fields.

    Text is written as it is, also where a spreadsheet would take it for a formula. Nothing (null, NaN, NaT) is empty,
    a list is its choices with semicolons between them. What the sync takes for no field, bytes and objects, is Base64
    and JSON.
    """
    if isinstance(value, str):
        return value
    if is_null(value):
        return ""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return _json(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        choices = choices_of(value)
        return _json(value) if choices is None else ";".join(choices)
    return text_of(value)


def _json(value: object) -> str:
    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: object) -> object:
    """Return a value with nothing in it that JSON does not know."""
    if isinstance(value, Mapping):
        return {cell_text(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if isinstance(value, (str, bool, int)):
        return value
    return None if is_null(value) else cell_text(value)


def parse_datetime(text: str) -> datetime | None:
    """Read a date, which stands for its midnight, or a date-time; with the zone that is written, if one is.

    :param text: without blanks around it.
    :return: ``None`` where it is none of the forms above, or names no day of the calendar.
    """
    found = _DATETIME.fullmatch(text)
    if found is None:
        return None
    clock = found["clock"] or found["basic"] or "00:00"
    try:
        return datetime.fromisoformat(f"{found['date']}T{clock}{_zone(found['zone'])}")
    except ValueError:
        return None


def parse_time(text: str) -> time | None:
    """Read a time of day, from 0:00 to 23:59:59.999999, with the zone that is written, if one is.

    :param text: without blanks around it.
    :return: ``None`` where it is none; a run of digits is none, for it may be a number of anything.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    hour, _, rest = found["clock"].partition(":")
    return time.fromisoformat(f"{hour:0>2}:{rest}{_zone(found['zone'])}")


def _zone(written: str | None) -> str:
    return "Z" if written in ("z", "UTC") else written or ""
