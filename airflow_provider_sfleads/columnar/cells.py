"""Columns of the export as cells of a job's CSV: what ``core.values.convert`` makes of each value, by the column.

A maker per type of Lead field converts what is common. What it is not sure of goes through ``convert`` itself, once for
each distinct value, so that there is one meaning of a value and not two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sfleads.columnar.ids import full_ids
from airflow_provider_sfleads.columnar.moments import dates, datetimes
from airflow_provider_sfleads.columnar.numbers import decimals, integers
from airflow_provider_sfleads.columnar.staged import CLEAR
from airflow_provider_sfleads.columnar.texts import (
    Mask,
    Texts,
    firsts,
    is_scalar,
    lengths,
    mask_of,
    none_of,
    plain,
    texts,
    trimmed,
    valid,
)
from airflow_provider_sfleads.core.describe import FieldInfo
from airflow_provider_sfleads.core.values import TRUNCATABLE, FieldValue, Refusal, convert

# Salesforce's rules in ASCII only, where Python's and RE2's classes of characters are the same.
_EMAIL = r"^ *[!-+\--:=?A-~]+@[!-+\-/-:=?A-~]+(\.[!-+\-/-:=?A-~]+)+ *$"
_LAST_BLANK = 32


@dataclass(frozen=True, slots=True)
class Cells:
    """One field of many records.

    :param text: the cells, null where the export has nothing.
    :param odd: rows whose value is refused, or is none that a column can be converted by.
    """

    text: pa.Array
    odd: Mask


def cells_of(info: FieldInfo, column: pa.Array, *, truncate: bool = False) -> Cells:
    """Convert a column to a field's type.

    :param info: the field, from describe.
    :param column: the export's values, of any Arrow type.
    :param truncate: cut over-long text to the field's length instead of refusing it.
    """
    array = plain(column)
    if not is_scalar(array.type):
        return Cells(pa.nulls(len(array), pa.string()), valid(array))
    made = _MAKERS.get(info.type, _text)(info, array, truncate)
    if not made.unsure.any():
        return Cells(made.array, made.unsure)
    return _converted(info, array, made, truncate=truncate)


def cell_of(value: FieldValue) -> str:
    """A record's value as a cell: ``CLEAR`` where the field is emptied."""
    if value is None or value == "":
        return CLEAR
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    # A value that is just what stands for "empty it" is told apart by a blank, which Salesforce trims.
    return f" {value}" if value == CLEAR else str(value)


def _converted(info: FieldInfo, array: pa.Array, made: Texts, *, truncate: bool) -> Cells:
    """Convert what a maker left, each distinct value once."""
    unsure = pa.array(made.unsure)
    values = array.filter(unsure).dictionary_encode()
    found = [convert(info, value, truncate=truncate) for value in values.dictionary.to_pylist()]
    known = [None if value is None or isinstance(value, Refusal) else cell_of(value) for value in found]
    places = values.indices
    text = pc.replace_with_mask(made.array, unsure, pa.array(known, pa.string()).take(places))
    odd = none_of(array)
    odd[made.unsure] = np.array([isinstance(value, Refusal) for value in found])[places.to_numpy()]
    return Cells(text, odd)


def _text(info: FieldInfo, array: pa.Array, truncate: bool) -> Texts:  # noqa: FBT001 - one of many makers
    if not pa.types.is_string(array.type):
        found = texts(array)
        too_long = _longer(found.array, info.length)
        return Texts(found.array, found.unsure | too_long)
    text = texts(array).array
    first = firsts(text)
    special = first <= _LAST_BLANK
    cut = truncate and bool(info.length) and info.type in TRUNCATABLE
    if cut:
        text = trimmed(text)
    unsure = none_of(array)
    if special.any():
        text, unsure = _without_blanks(text)
    too_long = _longer(text, info.length)
    if not too_long.any():
        return Texts(text, unsure)
    if cut:
        return Texts(pc.utf8_slice_codeunits(text, 0, info.length), unsure)
    return Texts(text, unsure | too_long)


def _without_blanks(text: pa.Array) -> tuple[pa.Array, Mask]:
    """Text with blank ones as null, and which are what stands for "empty it"."""
    blank = pc.equal(trimmed(text), "")
    return pc.if_else(blank, None, text), mask_of(pc.equal(text, CLEAR))


def _longer(text: pa.Array, length: int) -> Mask:
    """Which texts have more characters than a field takes; blanks around them count."""
    if not length or not len(text) or int(lengths(text).max()) <= length:
        return none_of(text)
    return mask_of(pc.greater(pc.utf8_length(text), length))


def _email(info: FieldInfo, array: pa.Array, truncate: bool) -> Texts:  # noqa: FBT001
    found = _text(info, array, truncate)
    addresses = mask_of(pc.match_substring_regex(found.array, _EMAIL))
    return Texts(found.array, found.unsure | (valid(found.array) & ~addresses))


def _boolean(info: FieldInfo, array: pa.Array, truncate: bool) -> Texts:  # noqa: FBT001
    if pa.types.is_boolean(array.type):
        return Texts(array.cast(pa.string()), none_of(array))
    return _by_value(info, array, truncate)


def _reference(info: FieldInfo, array: pa.Array, truncate: bool) -> Texts:  # noqa: FBT001
    return full_ids(array) if pa.types.is_string(array.type) else _by_value(info, array, truncate)


def _by_value(info: FieldInfo, array: pa.Array, truncate: bool) -> Texts:  # noqa: ARG001, FBT001
    """Fields that take few distinct values, each of which is converted by itself."""
    return Texts(pa.nulls(len(array), pa.string()), valid(array))


def _integer(info: FieldInfo, array: pa.Array, truncate: bool) -> Texts:  # noqa: ARG001, FBT001
    return integers(array, info.digits or 9)


def _decimal(info: FieldInfo, array: pa.Array, truncate: bool) -> Texts:  # noqa: ARG001, FBT001
    return decimals(array, (info.precision or 18) - info.scale)


def _date(info: FieldInfo, array: pa.Array, truncate: bool) -> Texts:  # noqa: ARG001, FBT001
    return dates(array)


def _datetime(info: FieldInfo, array: pa.Array, truncate: bool) -> Texts:  # noqa: ARG001, FBT001
    return datetimes(array)


_MAKERS: dict[str, Callable[[FieldInfo, pa.Array, bool], Texts]] = {
    "email": _email,
    "boolean": _boolean,
    "int": _integer,
    "long": _integer,
    "double": _decimal,
    "currency": _decimal,
    "percent": _decimal,
    "date": _date,
    "datetime": _datetime,
    "time": _by_value,
    "picklist": _by_value,
    "multipicklist": _by_value,
    "reference": _reference,
    "id": _reference,
}
