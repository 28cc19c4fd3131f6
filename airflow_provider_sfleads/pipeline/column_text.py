"""Columns as text: :func:`core.text.text_of` by the column, and what is asked of whole columns of text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sfleads.core.text import BLANKS
from airflow_provider_sfleads.salesforce.ids import LEAD_PREFIX, to_18

Mask: TypeAlias = npt.NDArray[np.bool_]

#: A day of which no calendar has to be asked (all but 29 February of the year 2000 and its like), and a time of day.
DAY = (
    r"(?:[12][0-9]{3}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)"
    r"|(?:0[13578]|1[02])-31)|[12][0-9](?:0[48]|[2468][048]|[13579][26])-02-29)"
)
CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"

# Between these Python writes a float with a fraction without an exponent, as Arrow does; whole ones are integers here.
_LEAST_PLAIN, _MOST_PLAIN, _MOST_WHOLE = 1e-4, 1e10, 1e15

Ids = npt.NDArray[np.bytes_]
"""18 bytes for each id (``S18``), which is what memory holds of a million of them; empty where there is none."""
_SHORT, _LONG = 15, 18
_FORM = np.dtype("S18")
_LETTERS = 26
# Multiplied by it, eight bytes of 0 or 1 leave their bits in the highest byte.
_GATHER = np.uint64(0x0102040810204080)
_CHECK = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345", dtype=np.uint8)
_LETTERS_AND_DIGITS = np.zeros(256, dtype=np.bool_)
_LETTERS_AND_DIGITS[list(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")] = True


@dataclass(frozen=True, slots=True)
class Texts:
    """A column as text.

    :param array: strings; null where the export has nothing, and where the text is not known.
    :param unsure: values that only the row code can tell the text of.
    """

    array: pa.Array
    unsure: Mask


def plain(column: pa.Array) -> pa.Array:
    """Bring the column into one piece, its dictionary dissolved, its strings, floats and decimals of one type each.

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
    """Return whether values of a type are single ones that text can be made of."""
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
    """Return text of a plain column; of what is no text, number or boolean, the row code has to tell it."""
    types, kind = pa.types, array.type
    if types.is_string(kind):
        return Texts(_with_line_feeds(array), none_of(array))
    if types.is_boolean(kind) or types.is_integer(kind):
        return Texts(array.cast(pa.string()), none_of(array))
    if types.is_floating(kind):
        return _of_floats(array)
    return unknown(array)


def unknown(array: pa.Array) -> Texts:
    """Return a column of whose values none is known."""
    return Texts(pa.nulls(len(array), pa.string()), valid(array))


def trimmed(text: pa.Array) -> pa.Array:
    """Return text without the blanks around it that Salesforce drops, too."""
    return pc.ascii_trim(text, characters=BLANKS)


def valid(array: pa.Array) -> Mask:
    """Return which values are there."""
    return _numpy(pc.is_valid(array))


def none_of(array: pa.Array) -> Mask:
    """Return a mask of no row."""
    return np.zeros(len(array), dtype=np.bool_)


def mask_of(flags: pa.Array) -> Mask:
    """Return which flags are set; a null is not."""
    return _numpy(pc.fill_null(flags, fill_value=False))


def matches(text: pa.Array, pattern: str) -> Mask:
    """Return which texts match a regular expression (RE2)."""
    return mask_of(pc.match_substring_regex(text, pattern))


def lengths(text: pa.Array) -> npt.NDArray[np.int64]:
    """Bytes of each text; 0 where there is none."""
    found: npt.NDArray[np.int64] = pc.fill_null(pc.binary_length(text), 0).to_numpy(zero_copy_only=False)
    return found.astype(np.int64)


def may_hold(text: pa.Array, part: bytes) -> bool:
    """Return whether some bytes stand anywhere in a column.

    One look at the whole, far cheaper than one at each value.
    """
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


def no_ids(count: int) -> Ids:
    """Return so many ids that are none."""
    return np.zeros(count, dtype=_FORM)


def id_bytes(values: pa.Array) -> Ids:
    """Return the 18-character form of ids; empty for what is no id.

    :param values: strings without blanks around them.
    """
    found, plain = _plain_ids(values)
    if plain.all():
        return found
    # Among them what a spreadsheet has robbed of its letter case.
    for row in np.flatnonzero((lengths(values) >= _SHORT) & ~plain):
        found[row] = (to_18(values[int(row)].as_py()) or "").encode()
    return found


def full_ids(array: pa.Array) -> Texts:
    """Return the 18-character form of ids as text, null where there is nothing; unsure of what is no id as it stands.

    :param array: text.
    """
    found, plain = _plain_ids(trimmed(texts(array).array))
    return Texts(strings(found), valid(array) & ~plain)


def lead_ids(array: pa.Array) -> pa.Array:
    """Return the 18-character form of leads' ids; null where there is none or a malformed one.

    :param array: text.
    """
    ids = strings(id_bytes(trimmed(array)))
    return pc.if_else(pc.starts_with(ids, LEAD_PREFIX), ids, None)


def lead_ids_only(values: pa.Array) -> bool:
    """Return whether each of some strings has the form of a lead's id."""
    fits = pc.match_substring_regex(values, f"^{LEAD_PREFIX}[a-zA-Z0-9]{{12}}(?:[a-zA-Z0-5]{{3}})?$")
    return bool(pc.all(pc.fill_null(fits, fill_value=False), min_count=0).as_py())


def fixed_bytes(values: pa.Array, width: int) -> npt.NDArray[np.bytes_]:
    """Return strings of at most so many bytes as numpy has them; empty for nulls and for what is longer."""
    if not len(values):
        return np.zeros(0, f"S{width}")
    short = pc.if_else(pc.less_equal(pc.binary_length(values), width), values, "")
    padded = pc.ascii_rpad(pc.fill_null(short, ""), width=width, padding="\0")
    return np.frombuffer(padded.buffers()[2], f"S{width}", len(values), padded.offset * width)


def strings(fixed: npt.NDArray[np.bytes_]) -> pa.Array:
    """Return strings that are all as wide as they can be, or empty, as Arrow has them: null for an empty one."""
    there = fixed != b""
    if there.all():
        offsets = np.arange(len(fixed) + 1, dtype=np.int32) * fixed.dtype.itemsize
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(fixed))]
        return pa.Array.from_buffers(pa.string(), len(fixed), buffers)
    if not there.any():
        return pa.nulls(len(fixed), pa.string())
    return pa.array(fixed, pa.binary(), mask=~there).cast(pa.string())


def _plain_ids(values: pa.Array) -> tuple[Ids, Mask]:
    """Return the 18-character form of ids that are right as they stand, and which those are."""
    found = no_ids(len(values))
    size = lengths(values)
    plain = np.zeros(len(values), dtype=np.bool_)
    for length in (_LONG, _SHORT):
        rows = np.flatnonzero(size == length)
        if len(rows):
            some = values if len(rows) == len(values) else values.take(pa.array(rows))
            ids, right = _completed(_characters(some, length))
            if len(rows) == len(values) and right.all():
                return ids, right
            found[rows[right]] = ids[right]
            plain[rows] = right
    return found, plain


def _characters(values: pa.Array, length: int) -> npt.NDArray[np.uint8]:
    _, offsets, data = values.buffers()
    start = int(np.frombuffer(offsets, dtype=np.int32)[values.offset])
    return np.frombuffer(data, dtype=np.uint8, offset=start, count=len(values) * length).reshape(-1, length)


def _completed(characters: npt.NDArray[np.uint8]) -> tuple[Ids, npt.NDArray[np.bool_]]:
    """Return ids with their check characters, and which of them are right as they stand."""
    check = _CHECK[_check_places(characters)]
    right = _all_of_each(_LETTERS_AND_DIGITS[characters])
    if characters.shape[1] == _LONG:
        right &= _all_of_each(characters[:, _SHORT:] == check)
        full = characters
    else:
        full = np.concatenate((characters, check), axis=1)
    return np.ascontiguousarray(full).view(_FORM).reshape(-1), right


def _check_places(characters: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """Return each id's three check characters by their places: one bit for each capital of five characters."""
    capital = ((characters - np.uint8(ord("A"))) < _LETTERS).view(np.uint8)
    start, end = _bits(capital, 0), _bits(capital, _SHORT - 8)
    # The two overlap in one character.
    return np.stack((start & 31, (start >> 5) | (end >> 1 & 3) << 3, end >> 3), axis=1)


def _bits(flags: npt.NDArray[np.uint8], at: int) -> npt.NDArray[np.uint64]:
    """Eight flags of each row, from a place on, as the bits of a number, the first one lowest."""
    eight = np.ndarray((len(flags),), dtype="<u8", buffer=flags, offset=at, strides=(flags.shape[1],))
    return (eight * _GATHER) >> np.uint64(56)


def _all_of_each(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return whether all is true, row by row; all of them together, which is the rule, is asked faster."""
    return np.ones(len(flags), dtype=np.bool_) if flags.all() else np.logical_and.reduce(flags, axis=1)
