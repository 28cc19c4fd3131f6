"""From a JSON value to what is stored, as strict as Salesforce, one converter per field type."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from airflow_provider_sfleads.emulator.fields import FieldSpec, fold
from airflow_provider_sfleads.emulator.ids import to_18
from airflow_provider_sfleads.emulator.json_types import Json

type_names = {str: "VALUE_STRING", int: "VALUE_NUMBER_INT", float: "VALUE_NUMBER_FLOAT"}

Stored = str | float | int | None
Converter = Callable[[Any], Stored]

_EMAIL = re.compile(r"[^@\s\"(),:;<>\[\]\\]+@[^@\s\"(),:;<>\[\]\\.]+(?:\.[^@\s\"(),:;<>\[\]\\.]+)+")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_DATETIME = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.\d{1,9})?(Z|[+-]\d{2}:?\d{2})")
_INTEGER = re.compile(r"[+-]?\d{1,18}")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?")
_FIRST_YEAR, _LAST_YEAR = 1700, 4000


class FieldProblem(Exception):  # noqa: N818 - a finding about a value
    """A value that its field refuses.

    `structural` marks a value of the wrong JSON type, which costs the whole call unless the emulator
    is set to answer it per row.
    """

    def __init__(self, code: str, message: str, *, field: str, structural: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.structural = structural


def converter(spec: FieldSpec) -> Converter:
    """Return the function that turns a JSON value of this field into what is stored."""
    return _MAKERS[spec.type](spec)


def format_datetime(moment: datetime) -> str:
    """Salesforce's output form: UTC, whole seconds, an offset without a colon."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def parse_datetime(text: str) -> datetime | None:
    """Return a point in time with a zone, in the forms that Salesforce takes; None for any other text."""
    match = _DATETIME.fullmatch(text)
    if match is None:
        return None
    try:
        return datetime.fromisoformat(match[1] + match[2])
    except ValueError:
        return None


def _wrong_type(spec: FieldSpec, kind: str, raw: Json) -> FieldProblem:
    if raw is True or raw is False:
        found = f"VALUE_{str(raw).upper()}"
    elif isinstance(raw, dict):
        found = "START_OBJECT value {"
    elif isinstance(raw, list):
        found = "START_ARRAY value ["
    else:
        found = f"{type_names[type(raw)]} value {raw}"
    message = (
        f"Cannot deserialize instance of {kind} from {found} "
        "or request may be missing a required field at [line:1, column:1]"
    )
    return FieldProblem("JSON_PARSER_ERROR", message, field=spec.name, structural=True)


def _too_long(spec: FieldSpec, value: str) -> FieldProblem:
    message = f"{spec.shown}: data value too large: {value} (max length={spec.length})"
    return FieldProblem("STRING_TOO_LONG", message, field=spec.name)


def _text(spec: FieldSpec) -> Converter:
    length = spec.length

    def convert(raw: Json) -> Stored:
        if raw is None:
            return None
        if type(raw) is not str:
            raise _wrong_type(spec, "string", raw)
        value = raw.strip(" ")
        if len(value) > length:
            raise _too_long(spec, value)
        return value or None

    return convert


def _email(spec: FieldSpec) -> Converter:
    text = _text(spec)

    def convert(raw: Json) -> Stored:
        value = text(raw)
        if isinstance(value, str) and not _EMAIL.fullmatch(value):
            message = f"{spec.shown}: invalid email address: {value}"
            raise FieldProblem("INVALID_EMAIL_ADDRESS", message, field=spec.name)
        return value

    return convert


def _picklist(spec: FieldSpec) -> Converter:
    text = _text(spec)
    listed = {fold(item): item for item in spec.picklist}

    def convert(raw: Json) -> Stored:
        value = text(raw)
        if not isinstance(value, str):
            return value
        chosen = value.split(";") if spec.type == "multipicklist" else [value]
        for item in chosen:
            if spec.restricted and fold(item) not in listed:
                message = f"{spec.shown}: bad value for restricted picklist field: {item}"
                raise FieldProblem("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message, field=spec.name)
        return ";".join(dict.fromkeys(listed.get(fold(item), item) for item in chosen))

    return convert


def _boolean(spec: FieldSpec) -> Converter:
    def convert(raw: Json) -> Stored:
        if raw is True or raw is False:
            return int(raw)
        if raw is None:
            message = f"{spec.shown}: value not of required type: null"
            raise FieldProblem("INVALID_TYPE_ON_FIELD_IN_RECORD", message, field=spec.name)
        raise _wrong_type(spec, "boolean", raw)

    return convert


def _out_of_range(spec: FieldSpec, raw: Json) -> FieldProblem:
    message = f"{spec.shown}: value outside of valid range on numeric field: {raw}"
    return FieldProblem("NUMBER_OUTSIDE_VALID_RANGE", message, field=spec.name)


def _integer(spec: FieldSpec) -> Converter:
    limit = 10 ** (spec.digits or 9)

    def convert(raw: Json) -> Stored:
        if raw is None:
            return None
        if type(raw) is str and _INTEGER.fullmatch(raw):
            # Numbers are taken as text, too: recorded with v42.0 and v62.0.
            raw = int(raw)
        if type(raw) is not int:
            raise _wrong_type(spec, "int", raw)
        if not -limit < raw < limit:
            raise _out_of_range(spec, raw)
        return raw

    return convert


def _decimal(spec: FieldSpec) -> Converter:
    limit = 10 ** (spec.precision - spec.scale)
    step = Decimal(1).scaleb(-spec.scale)

    def convert(raw: Json) -> Stored:
        if raw is None:
            return None
        if type(raw) is str and _NUMBER.fullmatch(raw):
            raw = float(raw)
        if type(raw) is not int and type(raw) is not float:
            raise _wrong_type(spec, "double", raw)
        if not -limit < raw < limit or not math.isfinite(raw):
            raise _out_of_range(spec, raw)
        return float(Decimal(str(raw)).quantize(step, rounding=ROUND_HALF_UP)) + 0.0

    return convert


def _checked_year(spec: FieldSpec, value: date) -> None:
    if not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        message = f"{spec.shown}: invalid date: {value.isoformat()}"
        raise FieldProblem("FIELD_INTEGRITY_EXCEPTION", message, field=spec.name)


def _date(spec: FieldSpec) -> Converter:
    def convert(raw: Json) -> Stored:
        if raw is None:
            return None
        if not isinstance(raw, str) or not _DATE.fullmatch(raw):
            raise _wrong_type(spec, "date", raw)
        try:
            value = date.fromisoformat(raw)
        except ValueError:
            raise _wrong_type(spec, "date", raw) from None
        _checked_year(spec, value)
        return raw

    return convert


def _datetime(spec: FieldSpec) -> Converter:
    def convert(raw: Json) -> Stored:
        if raw is None:
            return None
        value = parse_datetime(raw) if isinstance(raw, str) else None
        if value is None:
            raise _wrong_type(spec, "datetime", raw)
        _checked_year(spec, value.date())
        return format_datetime(value)

    return convert


def _reference(spec: FieldSpec) -> Converter:
    def convert(raw: Json) -> Stored:
        if raw is None or raw == "":
            return None
        if not isinstance(raw, str):
            raise _wrong_type(spec, "string", raw)
        value = to_18(raw)
        if value is None:
            message = f"{spec.shown}: id value of incorrect type: {raw}"
            raise FieldProblem("MALFORMED_ID", message, field=spec.name)
        return value

    return convert


_MAKERS: dict[str, Callable[[FieldSpec], Converter]] = {
    "string": _text,
    "textarea": _text,
    "phone": _text,
    "url": _text,
    "address": _text,
    "email": _email,
    "picklist": _picklist,
    "multipicklist": _picklist,
    "boolean": _boolean,
    "int": _integer,
    "double": _decimal,
    "currency": _decimal,
    "percent": _decimal,
    "date": _date,
    "datetime": _datetime,
    "reference": _reference,
    "id": _reference,
}
