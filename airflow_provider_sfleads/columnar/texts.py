"""Columns as text: what ``core.values.text_of`` and ``core.keys.key_text`` say of each value, by the column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sfleads.core.keys import key_text
from airflow_provider_sfleads.core.values import BLANKS

Mask = npt.NDArray[np.bool_]

_CR = 13
_SPACE = 32
_LETTER = 120
# str() and Arrow write the floats between these alike; whole ones are written as integers before that.
_LEAST_PLAIN, _MOST_PLAIN, _MOST_WHOLE = 1e-4, 1e15, 9e18


@dataclass(frozen=True, slots=True)
class Texts:
    """Values as text, null where there is nothing.

    :param array: the text.
    :param unsure: the rows of which only the row code knows the text.
    """

    array: pa.Array
    unsure: Mask


def none_of(array: pa.Array) -> Mask:
    """A mask that holds for no row."""
    return np.zeros(len(array), dtype=np.bool_)


def mask_of(flags: pa.Array) -> Mask:
    """Arrow's booleans as numpy's; null is false."""
    filled = pc.fill_null(flags, fill_value=False) if flags.null_count else flags
    mask: Mask = filled.to_numpy(zero_copy_only=False)
    return mask


def valid(array: pa.Array) -> Mask:
    """Which values are not null."""
    return mask_of(array.is_valid()) if array.null_count else ~none_of(array)


def plain(array: pa.Array) -> pa.Array:
    """The array with text as ``string``, dictionaries as their values, and times as Python knows them."""
    kind, types = array.type, pa.types
    if types.is_dictionary(kind):
        return plain(array.cast(kind.value_type))
    if types.is_large_string(kind) or types.is_string_view(kind):
        return array.cast(pa.string())
    if types.is_timestamp(kind) and kind.unit == "ns":
        return array.cast(pa.timestamp("us", tz=kind.tz), safe=False)
    return array.cast(pa.time64("us"), safe=False) if types.is_time64(kind) else array


def is_scalar(kind: pa.DataType) -> bool:
    """Whether the type's values are text, numbers, booleans or dates and times."""
    types = pa.types
    if types.is_dictionary(kind):
        return is_scalar(kind.value_type)
    known = (
        types.is_null,
        types.is_string,
        types.is_large_string,
        types.is_string_view,
        types.is_boolean,
        types.is_integer,
        types.is_floating,
        types.is_decimal,
        types.is_date,
        types.is_time,
        types.is_timestamp,
    )
    return any(is_it(kind) for is_it in known)


def texts(array: pa.Array) -> Texts:
    """Each value as ``text_of`` writes it, untrimmed.

    :param array: a :func:`plain` array.
    """
    kind, types = array.type, pa.types
    if types.is_string(kind):
        return Texts(_without_cr(array), none_of(array))
    if types.is_null(kind) or types.is_integer(kind) or types.is_boolean(kind) or types.is_date32(kind):
        return Texts(array.cast(pa.string()), none_of(array))
    if types.is_floating(kind):
        return _of_floats(array.cast(pa.float64()))
    if types.is_decimal(kind):
        return _of_decimals(array)
    return Texts(pa.nulls(len(array), pa.string()), valid(array))


def key_texts(array: pa.Array) -> pa.Array:
    """Each value as ``key_text`` writes it: trimmed, and empty where there is nothing.

    :param array: a :func:`plain` array of a type that :func:`is_scalar`.
    """
    found = texts(array)
    text = trimmed(found.array) if pa.types.is_string(array.type) else found.array
    if found.unsure.any():
        unsure = pa.array(found.unsure)
        rest = [key_text(value) for value in array.filter(unsure).to_pylist()]
        text = pc.replace_with_mask(text, unsure, pa.array(rest, pa.string()))
    return pc.fill_null(text, "") if text.null_count else text


def trimmed(text: pa.Array) -> pa.Array:
    """Text less the blanks around it."""
    return pc.ascii_trim(text, characters=BLANKS)


def lengths(text: pa.Array) -> npt.NDArray[np.int32]:
    """The lengths of strings in bytes; of nulls any number."""
    return np.diff(_offsets(text))


def firsts(text: pa.Array) -> npt.NDArray[np.uint8]:
    """The first byte of each string: a space where it is empty, a letter where it is null."""
    data, offsets = _data(text), _offsets(text)
    if not len(data):
        first = np.full(len(text), _SPACE, dtype=np.uint8)
    else:
        first = data[np.minimum(offsets[:-1], len(data) - 1)]
        first[offsets[1:] == offsets[:-1]] = _SPACE
    if text.null_count:
        first[~valid(text)] = _LETTER
    return first


def _offsets(text: pa.Array) -> npt.NDArray[np.int32]:
    buffer = text.buffers()[1]
    if buffer is None or not len(text):
        return np.zeros(len(text) + 1, dtype=np.int32)
    return np.frombuffer(buffer, dtype=np.int32, count=len(text) + 1, offset=text.offset * 4)


def _data(text: pa.Array) -> npt.NDArray[np.uint8]:
    """The bytes up to the end of the last string."""
    buffer = text.buffers()[2]
    if buffer is None:
        return np.zeros(0, dtype=np.uint8)
    return np.frombuffer(buffer, dtype=np.uint8, count=int(_offsets(text)[-1]))


def _without_cr(text: pa.Array) -> pa.Array:
    if not (_data(text)[int(_offsets(text)[0]) :] == _CR).any():
        return text
    return pc.replace_substring(pc.replace_substring(text, "\r\n", "\n"), "\r", "\n")


def _of_floats(array: pa.Array) -> Texts:
    numbers = array.to_numpy(zero_copy_only=False)
    size = np.abs(numbers)
    whole = (size < _MOST_WHOLE) & (np.floor(numbers) == numbers)
    broken = (size >= _LEAST_PLAIN) & (size < _MOST_PLAIN) & ~whole
    text = pa.array(np.where(whole, numbers, 0).astype(np.int64), mask=~whole).cast(pa.string())
    if broken.any():
        text = pc.if_else(pa.array(broken), array.cast(pa.string()), text)
    return Texts(text, ~(whole | broken | np.isnan(numbers)))


def _of_decimals(array: pa.Array) -> Texts:
    text = array.cast(pa.string())
    if array.type.scale < 0:
        return Texts(text, valid(array))
    exponents = mask_of(pc.match_substring(text, "E"))
    if array.type.scale > 0:
        text = pc.ascii_rtrim(pc.ascii_rtrim(text, characters="0"), characters=".")
    return Texts(text, exponents)
