"""Convert a value of the export to what a Lead field takes.

Formats: REST API Developer Guide, "Valid Date and DateTime Formats"; Object Reference, "Field Types".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from airflow_provider_sfleads.core.text import (
    BLANKS,
    choices_of,
    is_container,
    is_null,
    is_unicode,
    number_of,
    parse_datetime,
    parse_time,
    text_of,
)
from airflow_provider_sfleads.salesforce.describe import FieldInfo
from airflow_provider_sfleads.salesforce.ids import to_18
from airflow_provider_sfleads.salesforce.wire import FieldValue

NUMBERS = frozenset({"int", "long", "double", "currency", "percent"})

#: Types of fields whose text may be cut to their length.
TRUNCATABLE = frozenset({"string", "textarea", "phone", "encryptedstring"})
_TRUE = frozenset({"true", "t", "yes", "y", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "0"})
# Looser than Salesforce's own rule, so that only what it refuses for sure is refused here.
_EMAIL = re.compile(r"[^@\s,;<>]+@[^@\s,;<>.]+(\.[^@\s,;<>.]+)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a row cannot go to Salesforce.

    :param code: the ``statusCode`` that Salesforce itself would answer.
    :param message: the rule that is broken; it repeats no value, since it may be logged.
    :param fields: Lead fields concerned.
    """

    code: str
    message: str
    fields: tuple[str, ...] = ()


def convert(info: FieldInfo, value: object, *, truncate: bool = False) -> FieldValue | Refusal:
    """Convert one value to a field's type.

    Blank text and not-a-numbers become ``None``. A date-time without zone is read as UTC; a date-time
    given to a date field counts as the date in its own zone. Text is sent as it is, less CR and CRLF,
    which become LF.

    :param truncate: cut over-long text to the field's length instead of refusing it.
    :return: the JSON value, or a :class:`Refusal` with Salesforce's own code.
    """
    if is_null(value):
        return None
    if truncate and info.length and info.type in TRUNCATABLE and not is_container(value):
        value = text_of(value).strip(BLANKS)[: info.length]
    return _CONVERTERS.get(info.type, _text)(info, value)


def _refusal(info: FieldInfo, code: str, rule: str) -> Refusal:
    return Refusal(code=code, message=f"{info.name}: {rule}", fields=(info.name,))


def _wrong_type(info: FieldInfo, wanted: str) -> Refusal:
    return _refusal(info, "INVALID_TYPE_ON_FIELD_IN_RECORD", f"value not of required type: it takes {wanted}")


def _out_of_range(info: FieldInfo) -> Refusal:
    return _refusal(info, "NUMBER_OUTSIDE_VALID_RANGE", "value outside of valid range")


def _text(info: FieldInfo, value: object) -> FieldValue | Refusal:
    if is_container(value):
        return _wrong_type(info, "text")
    text = text_of(value)
    if not text.isascii() and not is_unicode(text):
        return _wrong_type(info, "text, and this holds half a character (a lone surrogate)")
    if not info.length or len(text) <= info.length:
        return text
    size = len(text.strip(BLANKS))
    if size <= info.length:
        return text
    return _refusal(info, "STRING_TOO_LONG", f"data value too large: {size} characters (max length={info.length})")


def _email(info: FieldInfo, value: object) -> FieldValue | Refusal:
    text = _text(info, value)
    if isinstance(text, str) and not _EMAIL.fullmatch(text.strip(BLANKS)):
        return _refusal(info, "INVALID_EMAIL_ADDRESS", "invalid email address")
    return text


def _boolean(info: FieldInfo, value: object) -> FieldValue | Refusal:
    word = text_of(value).strip(BLANKS).lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    return _wrong_type(info, "true or false")


def _integer(info: FieldInfo, value: object) -> FieldValue | Refusal:
    number = number_of(value)
    if number is None or number != number.to_integral_value():
        return _wrong_type(info, "a whole number")
    return int(number) if number.adjusted() < info.whole_digits else _out_of_range(info)


def _decimal(info: FieldInfo, value: object) -> FieldValue | Refusal:
    number = number_of(value)
    if number is None:
        return _wrong_type(info, "a number")
    if number and number.adjusted() + 1 > info.whole_digits:
        return _out_of_range(info)
    return number


def _date(info: FieldInfo, value: object) -> FieldValue | Refusal:
    moment = _datetime_of(value)
    if moment is None:
        return _wrong_type(info, "a date as YYYY-MM-DD, with or without a time of day as hh:mm:ss")
    return moment.date().isoformat()


def _datetime(info: FieldInfo, value: object) -> FieldValue | Refusal:
    moment = _datetime_of(value)
    if moment is None:
        return _wrong_type(
            info,
            "a date and time as YYYY-MM-DDThh:mm:ss, with an offset such as +02:00, Z, UTC or without zone (ISO 8601)",
        )
    try:
        utc = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:
        return _out_of_range(info)
    return utc.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _datetime_of(value: object) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time())
    return parse_datetime(value.strip(BLANKS)) if isinstance(value, str) else None


def _time(info: FieldInfo, value: object) -> FieldValue | Refusal:
    # A span of time is one, too, and text_of() writes it as such; a number is none, whatever its digits look like.
    moment = value if isinstance(value, time) else parse_time(text_of(value).strip(BLANKS))
    if moment is None:
        return _wrong_type(info, "a time of day as hh:mm:ss, from 00:00:00 to 23:59:59.999")
    # Such a field has no zone, and without its date a time cannot be moved: it may be another day's in UTC.
    if moment.tzinfo is not None and moment.utcoffset() != timedelta(0):
        return _wrong_type(info, "a time of day without an offset from UTC; let the export give it in the wanted zone")
    return moment.replace(tzinfo=None).isoformat("milliseconds") + "Z"


def _picklist(info: FieldInfo, value: object) -> FieldValue | Refusal:
    text = _text(info, value)
    return _listed(info, (text.strip(BLANKS),)) if isinstance(text, str) else text


def _multipicklist(info: FieldInfo, value: object) -> FieldValue | Refusal:
    choices = choices_of(value)
    if choices is None:
        return _wrong_type(info, "choices, as text with semicolons between them or as a list of texts")
    text = _text(info, ";".join(choices)) if choices else None
    return _listed(info, choices) if isinstance(text, str) else text


def _listed(info: FieldInfo, choices: Sequence[str]) -> FieldValue | Refusal:
    """Choices in the org's own spelling, each once."""
    spelled = {info.compared(choice): info.spelled(choice) for choice in choices}.values()
    if not info.restricted_picklist or all(choice in info.picklist_values for choice in spelled):
        return ";".join(spelled)
    return _refusal(info, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "bad value for restricted picklist field")


def _reference(info: FieldInfo, value: object) -> FieldValue | Refusal:
    return to_18(text_of(value).strip(BLANKS)) or _refusal(info, "MALFORMED_ID", "id value of incorrect type")


_CONVERTERS: dict[str, Callable[[FieldInfo, object], FieldValue | Refusal]] = {
    "email": _email,
    "boolean": _boolean,
    "int": _integer,
    "long": _integer,
    "double": _decimal,
    "currency": _decimal,
    "percent": _decimal,
    "date": _date,
    "datetime": _datetime,
    "time": _time,
    "picklist": _picklist,
    "multipicklist": _multipicklist,
    "reference": _reference,
    "id": _reference,
}
#: The types that have a rule of their own; all others are text.
RULED = frozenset(_CONVERTERS)
