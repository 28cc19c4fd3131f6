"""Columns as text: :func:`core.values.text_of` by the column, and what is asked of whole columns of text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sfleads.core.text import BLANKS

Mask: TypeAlias = npt.NDArray[np.bool_]

#: A day of which no calendar has to be asked (all but 29 February of the year 2000 and its like), and a time of day.
DAY = (
    r"(?:[12][0-9]{3}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)"
    r"|(?:0[13578]|1[02])-31)|[12][0-9](?:0[48]|[2468][048]|[13579][26])-02-29)"
)
CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"

# Between these Python writes a float with a fraction without an exponent, as Arrow does; whole ones are integers here.
_LEAST_PLAIN, _MOST_PLAIN, _MOST_WHOLE = 1e-4, 1e10, 1e15


@dataclass(frozen=True, slots=True)
class Texts:
    """A column as text.

    :param array: strings; null where the export has nothing, and where the text is not known.
    :param unsure: values that only the row code can tell the text of.
    """

    array: pa.Array
    unsure: Mask


def plain(column: pa.Array) -> pa.Array:
    """The column in one piece, its dictionary dissolved, its strings, its floats and its decimals of the one type.

    Python has floats of 64 bits only: what 32 bits hold of 0.1 is to it 0.10000000149011612.
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    types = pa.types
    if types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if types.is_null(array.type) or types.is_large_string(array.type) or types.is_string_view(array.type):
        array = array.cast(pa.string())
    if types.is_floating(array.type) and not types.is_float64(array.type):
        array = array.cast(pa.float64())
    if types.is_decimal32(array.type) or types.is_decimal64(array.type):
        array = array.cast(pa.decimal128(array.type.precision, array.type.scale))
    return array


def is_scalar(kind: pa.DataType) -> bool:
    """Whether values of a type are single ones that text can be made of."""
    types = pa.types
    return bool(
        types.is_string(kind)
        or types.is_boolean(kind)
        or types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_decimal(kind)
        or types.is_temporal(kind)
    )


def texts(array: pa.Array) -> Texts:
    """Text of a plain column; of what is no text, number or boolean, the row code has to tell it."""
    types, kind = pa.types, array.type
    if types.is_string(kind):
        return Texts(_with_line_feeds(array), none_of(array))
    if types.is_boolean(kind) or types.is_integer(kind):
        return Texts(array.cast(pa.string()), none_of(array))
    if types.is_floating(kind):
        return _of_floats(array)
    return unknown(array)


def unknown(array: pa.Array) -> Texts:
    """A column of whose values none is known."""
    return Texts(pa.nulls(len(array), pa.string()), valid(array))


def trimmed(text: pa.Array) -> pa.Array:
    """Text without the blanks around it that Salesforce drops, too."""
    return pc.ascii_trim(text, characters=BLANKS)


def valid(array: pa.Array) -> Mask:
    """Which values are there."""
    return _numpy(pc.is_valid(array))


def none_of(array: pa.Array) -> Mask:
    """A mask of no row."""
    return np.zeros(len(array), dtype=np.bool_)


def mask_of(flags: pa.Array) -> Mask:
    """Which flags are set; a null is not."""
    return _numpy(pc.fill_null(flags, fill_value=False))


def matches(text: pa.Array, pattern: str) -> Mask:
    """Which texts match a regular expression (RE2)."""
    return mask_of(pc.match_substring_regex(text, pattern))


def lengths(text: pa.Array) -> npt.NDArray[np.int64]:
    """Bytes of each text; 0 where there is none."""
    found: npt.NDArray[np.int64] = pc.fill_null(pc.binary_length(text), 0).to_numpy(zero_copy_only=False)
    return found.astype(np.int64)


def may_hold(text: pa.Array, part: bytes) -> bool:
    """Whether some bytes stand anywhere in a column: one look at the whole, far cheaper than one at each value."""
    _, offsets, data = text.buffers()
    if data is None or not len(text):
        return False
    bounds = np.frombuffer(offsets, dtype=np.int32)
    first, last = int(bounds[text.offset]), int(bounds[text.offset + len(text)])
    # Most columns do not even hold the first of the bytes, and numpy finds that out several times as fast.
    if not (np.frombuffer(data, dtype=np.uint8)[first:last] == part[0]).any():
        return False
    return re.search(re.escape(part), memoryview(data)[first:last]) is not None


def shortest(numbers: pa.Array) -> pa.Array:
    """Numbers in plain digits, less the zeros at the end of a fraction."""
    if not may_hold(numbers, b"."):
        return numbers
    return pc.replace_substring_regex(numbers, r"\.0*$|(\.[0-9]*[1-9])0+$", r"\1")


def _with_line_feeds(text: pa.Array) -> pa.Array:
    if not may_hold(text, b"\r"):
        return text
    return pc.replace_substring(pc.replace_substring(text, "\r\n", "\n"), "\r", "\n")


def _of_floats(array: pa.Array) -> Texts:
    numbers = array.to_numpy(zero_copy_only=False)
    size = np.abs(numbers)
    whole = (np.floor(numbers) == numbers) & (size < _MOST_WHOLE)
    integers = pa.array(np.where(whole, numbers, 0).astype(np.int64), mask=~whole).cast(pa.string())
    is_plain = whole | ((size >= _LEAST_PLAIN) & (size < _MOST_PLAIN))
    text = pc.if_else(pa.array(whole), integers, array.cast(pa.string()))
    return Texts(pc.if_else(pa.array(is_plain), text, None), ~is_plain & ~np.isnan(numbers))


def _numpy(flags: pa.Array) -> Mask:
    found: Mask = flags.to_numpy(zero_copy_only=False)
    return found.astype(np.bool_)
