"""Columns of numbers as cells of number fields: plain digits."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sfleads.columnar.texts import Texts, mask_of, none_of, texts, trimmed, valid

_MOST_EXACT = 2.0**53


def integers(array: pa.Array, digits: int) -> Texts:
    """Cells of a field of whole numbers.

    :param array: values of any scalar type.
    :param digits: how many the field takes.
    """
    if pa.types.is_integer(array.type):
        return _of_integers(array, digits)
    if pa.types.is_floating(array.type):
        return _of_whole_floats(array, digits)
    # No -0, which an integer is not.
    found = _of_text(array, digits, rf"^(0|-?[1-9][0-9]{{0,{digits - 1}}})(\.0{{1,30}})?$")
    return Texts(_without_fraction(found.array), found.unsure)


def decimals(array: pa.Array, digits: int) -> Texts:
    """Cells of a field of decimal numbers.

    :param array: values of any scalar type.
    :param digits: how many the field takes before the decimal point.
    """
    if pa.types.is_integer(array.type):
        return _of_integers(array, digits)
    if pa.types.is_floating(array.type):
        return _of_floats(array, digits)
    return _of_text(array, digits, rf"^-?(0|[1-9][0-9]{{0,{digits - 1}}})(\.[0-9]{{1,100}})?$")


def _of_integers(array: pa.Array, digits: int) -> Texts:
    limit = 10 ** max(digits, 0)
    span = pc.min_max(array)
    least, most = span["min"].as_py() or 0, span["max"].as_py() or 0
    unsure = none_of(array)
    if most >= limit or least <= -limit:
        values = pc.fill_null(array, 0).to_numpy(zero_copy_only=False)
        unsure = (values >= limit) | (values <= -limit)
    return Texts(array.cast(pa.string()), unsure)


def _of_whole_floats(array: pa.Array, digits: int) -> Texts:
    numbers = array.to_numpy(zero_copy_only=False)
    whole = (np.abs(numbers) < min(10.0**digits, _MOST_EXACT)) & (np.floor(numbers) == numbers)
    values = pa.array(np.where(whole, numbers, 0).astype(np.int64), mask=~whole)
    return Texts(values.cast(pa.string()), ~whole & ~np.isnan(numbers))


def _of_floats(array: pa.Array, digits: int) -> Texts:
    numbers = array.to_numpy(zero_copy_only=False)
    size = np.abs(numbers)
    small = size < min(10.0**digits, _MOST_EXACT)
    found = texts(array)
    return Texts(found.array, (found.unsure | ~small) & ~np.isnan(numbers))


def _of_text(array: pa.Array, digits: int, number: str) -> Texts:
    """Numbers that are text, or decimals, whose text is as long as they are."""
    types = pa.types
    if digits < 1 or not (types.is_string(array.type) or types.is_decimal(array.type)):
        return Texts(pa.nulls(len(array), pa.string()), valid(array))
    text = trimmed(array.cast(pa.string()))
    blank = mask_of(pc.equal(text, ""))
    if blank.any():
        text = pc.if_else(pa.array(blank), None, text)
    if mask_of(pc.match_substring_regex(text, "^-?0[0-9]")).any():
        text = pc.replace_substring_regex(text, r"^(-?)0+([0-9])", r"\1\2")
    sure = mask_of(pc.match_substring_regex(text, number))
    return Texts(text, valid(text) & ~sure)


def _without_fraction(text: pa.Array) -> pa.Array:
    if not mask_of(pc.match_substring(text, ".")).any():
        return text
    return pc.replace_substring_regex(text, r"\.0+$", "")
