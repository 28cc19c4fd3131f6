"""Values in the one form that is equal where Salesforce's are: :mod:`core.same` and :mod:`core.keys`, by the column."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sfleads.core.describe import FieldInfo
from airflow_provider_sfleads.core.keys import compared_by
from airflow_provider_sfleads.core.same import stored
from airflow_provider_sfleads.core.values import BLANKS, NUMBERS

_Form = Callable[[pa.Array], tuple[pa.Array, pa.Array | None]]
"""The forms of a column's values, and of which they are right; ``None`` stands for all."""

# What decimal128 holds with room for a carry; a field's scale is at most 18.
_WHOLE, _FRACTION = 19, 18
_NUMBER = pa.decimal128(38, _FRACTION)
_PLAIN_NUMBER = rf"^-?[0-9]{{1,{_WHOLE}}}(\.[0-9]{{1,{_FRACTION}}})?$"
_UTC_MOMENT = r"^[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|\+00:?00)$"
_TO_THE_SECOND = 19
_SHORTEST_NUMBER = r"^(0|-?[1-9][0-9]{0,30})(\.0{1,30})?$"


def same_form(info: FieldInfo, values: pa.Array) -> pa.Array:
    """Bring a field's values into a form that is equal exactly where :func:`core.same.same_value` says so.

    :param values: strings: cells, or what Salesforce answered as text; null and blank ones stand for nothing.
    :return: strings, "" for nothing.
    """
    trimmed = _trimmed(values)
    if info.type == "boolean":
        return pc.if_else(pc.equal(pc.ascii_lower(trimmed), "true"), "true", "false")
    there = pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)

    def one(text: str) -> str:
        return _text_of(stored(info, text))

    return pc.fill_null(_each(there, _form_of(info), one), "")


def key_form(external: FieldInfo | None, values: pa.Array) -> pa.Array:
    """Bring keys into the form in which they are compared (:func:`core.keys.compared_by`).

    :param values: strings; null stands for an empty key.
    """
    trimmed = _trimmed(values)
    compare = compared_by(external)
    if external is not None and external.type in NUMBERS:
        return _each(trimmed, _shortest, compare)
    return trimmed if external is not None and external.case_sensitive else _each(trimmed, _lower, compare)


def _trimmed(values: pa.Array) -> pa.Array:
    text = pc.fill_null(values, "")
    if pc.any(pc.match_substring(text, "\r")).as_py():
        text = pc.replace_substring_regex(text, "\r\n?", "\n")
    return pc.ascii_trim(text, characters=BLANKS)


def _each(values: pa.Array, forms: _Form, one: Callable[[str], str]) -> pa.Array:
    """Forms by the column where that is right, one by one where it is not, each distinct value once."""
    result, right = forms(values)
    if right is None:
        return result
    odd = pc.invert(pc.fill_null(right, fill_value=True))
    if not pc.any(odd).as_py():
        return result
    coded = values.filter(odd).dictionary_encode()
    mended = pa.array([one(value) for value in coded.dictionary.to_pylist()], pa.string())
    return pc.replace_with_mask(result, odd, mended.take(coded.indices))


def _form_of(info: FieldInfo) -> _Form:
    if info.type in NUMBERS:
        return lambda values: _rounded(values, info.scale)
    if info.type == "datetime":
        return _seconds
    forms = _lower if info.ignores_case else _as_it_is
    return _of_one_choice(forms) if info.type == "multipicklist" else forms


def _as_it_is(values: pa.Array) -> tuple[pa.Array, pa.Array | None]:
    return values, None


def _lower(values: pa.Array) -> tuple[pa.Array, pa.Array | None]:
    # Outside ASCII, Python and Arrow have different ideas of lower case.
    return pc.ascii_lower(values), pc.string_is_ascii(values)


def _of_one_choice(forms: _Form) -> _Form:
    def made(values: pa.Array) -> tuple[pa.Array, pa.Array]:
        result, right = forms(values)
        single = pc.invert(pc.match_substring(values, ";"))
        return result, single if right is None else pc.and_(single, right)

    return made


def _seconds(values: pa.Array) -> tuple[pa.Array, pa.Array]:
    return pc.utf8_slice_codeunits(values, 0, _TO_THE_SECOND), pc.match_substring_regex(values, _UTC_MOMENT)


def _rounded(values: pa.Array, scale: int) -> tuple[pa.Array, pa.Array]:
    plain = pc.match_substring_regex(values, _PLAIN_NUMBER)
    if scale > _FRACTION:
        return values, pc.xor(plain, plain)
    numbers = pc.if_else(plain, values, pa.scalar(None, pa.string())).cast(_NUMBER)
    return pc.round(numbers, ndigits=scale, round_mode="half_towards_infinity").cast(pa.string()), plain


def _shortest(values: pa.Array) -> tuple[pa.Array, pa.Array]:
    plain = pc.match_substring_regex(values, _SHORTEST_NUMBER)
    if not pc.any(pc.match_substring(values, ".")).as_py():
        return values, plain
    return pc.replace_substring_regex(values, r"\.0+$", ""), plain


def _text_of(form: object) -> str:
    """A stored form as text, in the spelling that the columns have."""
    if isinstance(form, Decimal):
        return _number_text(form)
    if isinstance(form, datetime):
        moment = form.astimezone(UTC) if form.tzinfo else form
        return moment.replace(tzinfo=None).isoformat() + ("" if form.tzinfo else " without zone")
    if isinstance(form, frozenset):
        return ";".join(sorted(form)) or ";"
    # What is no number, or no date, equals whatever else is none.
    return form if isinstance(form, str) else "\0"


def _number_text(number: Decimal) -> str:
    try:
        # Arrow spells small numbers its own way.
        return str(pa.scalar(number, _NUMBER).cast(pa.string()).as_py())
    except pa.ArrowInvalid:
        return str(number)
