"""Values of the export as cells of a job's CSV: :func:`core.values.convert`, by the column.

The rule of a value stands in ``core.values`` alone. A column is converted by calling it once for each distinct value.
What is plain for its type, so that the rule would surely say the same, takes a shortcut: a million different values
would otherwise cost seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import cache
from itertools import takewhile

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sfleads.core.values import RULED, TRUNCATABLE, Refusal, convert
from airflow_provider_sfleads.pipeline.column_text import (
    CLOCK,
    DAY,
    Mask,
    Texts,
    full_ids,
    is_scalar,
    lengths,
    mask_of,
    matches,
    may_hold,
    none_of,
    plain,
    shortest,
    texts,
    trimmed,
    unknown,
    valid,
)
from airflow_provider_sfleads.pipeline.staged_rows import CLEAR
from airflow_provider_sfleads.salesforce.describe import FieldInfo
from airflow_provider_sfleads.salesforce.wire import FieldValue

_EMAIL = r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+$"
_OFFSET = r"[+-](?:0[0-9]|1[0-3])(?::?[0-5][0-9])?"
_DATE = rf"^{DAY}(?:[T ]{CLOCK}(?:\.[0-9]{{1,12}})?(?: ?(?:UTC|Z|{_OFFSET}))?)?$"
# As Arrow reads it, and as warehouses write it: with more digits, a blank before the zone, UTC for Z.
_DATETIME = rf"^{DAY}[T ]{CLOCK}(?:\.[0-9]{{1,6}})?(?:Z|{_OFFSET})?$"
_WAREHOUSE = r"^(.{19})(?:(\.[0-9]{1,6})[0-9]{0,6})? ?(?:UTC|Z|([+-].+))?$"
_DATE_WIDTH = 10
_UNBOUNDED = 2**31
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000}
# In seconds since 1970.
_TABLES_END, _QUARTER = 67 * 365 * 86_400, 91 * 86_400


def cells_of(info: FieldInfo, column: pa.Array, *, truncate: bool = False) -> Texts:
    """Convert a column to a field's type: unsure are values that are refused, or that take a look at their row.

    :param info: the field, from describe.
    :param column: the export's values, of any Arrow type.
    :param truncate: cut over-long text to the field's length instead of refusing it.
    """
    array = plain(column)
    if not is_scalar(array.type):
        return unknown(array)
    made = plain_cells(info, array, truncate=truncate)
    if not made.unsure.any():
        return made
    unsure = pa.array(made.unsure)
    values = array.filter(unsure).dictionary_encode()
    found = [convert(info, value, truncate=truncate) for value in values.dictionary.to_pylist()]
    known = [None if value is None or isinstance(value, Refusal) else cell_of(value) for value in found]
    text = pc.replace_with_mask(made.array, unsure, pa.array(known, pa.string()).take(values.indices))
    odd = none_of(array)
    odd[made.unsure] = np.array([isinstance(value, Refusal) for value in found])[values.indices.to_numpy()]
    return Texts(text, odd)


def plain_cells(info: FieldInfo, array: pa.Array, *, truncate: bool = False) -> Texts:
    """Return the cells of values that are plain for their field's type; unsure of all others.

    :param array: values of a scalar type, as :func:`pipeline.column_text.plain` returns them.
    """
    if info.type not in RULED:
        return _text(info, array, truncate=truncate)
    return _SHORTCUTS.get(info.type, _choice)(info, array)


def cell_of(value: FieldValue) -> str:
    """Return a record's value as a cell: ``CLEAR`` where the field is emptied."""
    if value is None or value == "":
        return CLEAR
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    # A value that is just what stands for "empty it" is told apart by a blank, which Salesforce trims.
    return f" {value}" if value == CLEAR else str(value)


def _text(info: FieldInfo, array: pa.Array, *, truncate: bool) -> Texts:
    """Return text that is not blank and no longer than its field is sent as it is."""
    text = texts(array).array
    if truncate and info.length and info.type in TRUNCATABLE:
        text = pc.utf8_slice_codeunits(trimmed(text), 0, info.length)
    size = pc.fill_null(pc.utf8_length(trimmed(text)), 0).to_numpy()
    fits = (size > 0) & (size <= (info.length or _UNBOUNDED))
    if may_hold(text, CLEAR.encode()):
        fits &= ~mask_of(pc.equal(text, CLEAR))
    return Texts(text, valid(array) & ~fits)


def _email(info: FieldInfo, array: pa.Array) -> Texts:
    """Return an address of ASCII letters, digits and the commonest signs."""
    text = texts(array).array
    fits = matches(text, _EMAIL) & (lengths(text) <= (info.length or _UNBOUNDED))
    return Texts(text, valid(array) & ~fits)


def _boolean(_info: FieldInfo, array: pa.Array) -> Texts:
    return texts(array) if pa.types.is_boolean(array.type) else unknown(array)


def _reference(_info: FieldInfo, array: pa.Array) -> Texts:
    return full_ids(array) if pa.types.is_string(array.type) else unknown(array)


def _choice(_info: FieldInfo, array: pa.Array) -> Texts:
    """Few distinct values, which the rule is soon done with."""
    return unknown(array)


def _integer(info: FieldInfo, array: pa.Array) -> Texts:
    """Plain digits, with a fraction of zeros at most; no -0, which an integer is not."""
    if pa.types.is_integer(array.type):
        return Texts(texts(array).array, valid(array) & ~_below(array, info.whole_digits))
    found = _digits(array, info.whole_digits, r"^(?:0|-?[1-9][0-9]{0,%d})(?:\.0+)?$")
    return Texts(shortest(found.array), found.unsure)


def _decimal(info: FieldInfo, array: pa.Array) -> Texts:
    """Plain digits, with a fraction or without."""
    digits = info.whole_digits
    if pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
        found = texts(array)
        return Texts(found.array, found.unsure | (valid(array) & ~_below(array, digits)))
    return _digits(array, digits, r"^-?(?:0|[1-9][0-9]{0,%d})(?:\.[0-9]{1,100})?$")


def _below(array: pa.Array, digits: int) -> Mask:
    """Return which numbers have surely no more digits before the decimal point."""
    numbers = array.to_numpy(zero_copy_only=False).astype(np.float64)
    return np.asarray(np.abs(numbers) < 10.0**digits)


def _digits(array: pa.Array, most: int, pattern: str) -> Texts:
    """Numbers that are text in plain digits; the pattern takes how many may follow the first one."""
    text = array.cast(pa.string()) if pa.types.is_decimal(array.type) else trimmed(texts(array).array)
    sure = matches(text, pattern % (most - 1)) if most > 0 else none_of(text)
    return Texts(text, valid(array) & ~sure)


def _date(_info: FieldInfo, array: pa.Array) -> Texts:
    """Return a day, or a date-time, whose clock and zone say nothing of its date."""
    kind, types = array.type, pa.types
    if types.is_string(kind):
        text = trimmed(array)
        return Texts(pc.utf8_slice_codeunits(text, 0, _DATE_WIDTH), valid(text) & ~matches(text, _DATE))
    if types.is_date(kind):
        return Texts(array.cast(pa.date32()).cast(pa.string()), none_of(array))
    if not types.is_timestamp(kind):
        return unknown(array)
    try:
        local = pc.local_timestamp(array) if kind.tz else array
    except pa.ArrowException:
        # A zone that Arrow does not know.
        return unknown(array)
    return Texts(local.cast(pa.date32(), safe=False).cast(pa.string()), _beyond_tables(array))


def _beyond_tables(moments: pa.Array) -> Mask:
    """Return which timestamps' clock Arrow does not know.

    After the last change that a zone's table lists, it sees no more.
    """
    kind = moments.type
    if not kind.tz:
        return none_of(moments)
    return mask_of(pc.greater_equal(moments.cast(pa.int64()), _listed_until(kind.tz) * _PER_SECOND[kind.unit]))


@cache
def _listed_until(zone: str) -> int:
    """Return the second until which Arrow's clock of a zone is Python's.

    In 2036, or long before where tables are slim.
    """
    asked = pa.array(range(0, _TABLES_END, _QUARTER), pa.timestamp("s", tz=zone))
    clocks = zip(asked.to_pylist(), pc.local_timestamp(asked).to_pylist(), strict=True)
    alike = takewhile(lambda clock: clock[0].replace(tzinfo=None) == clock[1], clocks)
    return (sum(1 for _ in alike) - 1) * _QUARTER


def _datetime(_info: FieldInfo, array: pa.Array) -> Texts:
    """UTC, to the millisecond; what has no zone is UTC already."""
    types = pa.types
    if types.is_timestamp(array.type) or types.is_date(array.type):
        return Texts(_in_utc(array), none_of(array))
    if not types.is_string(array.type):
        return unknown(array)
    text = trimmed(array)
    sure = matches(text, _DATETIME)
    left = valid(text) & ~sure
    if left.any():
        some = pa.array(left)
        respelt = pc.replace_substring_regex(text.filter(some), _WAREHOUSE, r"\1\2\3")
        text = pc.replace_with_mask(text, some, respelt)
        sure = matches(text, _DATETIME)
        text = pc.if_else(pa.array(sure), text, None)
    zoned = matches(text.drop_null().slice(0, 1), rf"(?:Z|{_OFFSET})$").any()
    try:
        moments = text.cast(pa.timestamp("us", tz="UTC" if zoned else None))
    except pa.ArrowInvalid:
        # Some values have a zone, and some have none.
        return unknown(array)
    return Texts(_in_utc(moments), valid(array) & ~sure)


def _in_utc(moments: pa.Array) -> pa.Array:
    """Dates and timestamps as date-times are written: 2026-03-05 10:00:00.123456 as 2026-03-05T10:00:00.123Z."""
    text = moments.cast(pa.timestamp("us")).cast(pa.string())
    return pc.binary_replace_slice(pc.binary_replace_slice(text, 23, 26, "Z"), 10, 11, "T")


_SHORTCUTS: dict[str, Callable[[FieldInfo, pa.Array], Texts]] = {
    "email": _email,
    "boolean": _boolean,
    "int": _integer,
    "long": _integer,
    "double": _decimal,
    "currency": _decimal,
    "percent": _decimal,
    "date": _date,
    "datetime": _datetime,
    "reference": _reference,
    "id": _reference,
}
