"""Values in the one form that is equal where Salesforce's are: :mod:`core.same` and :mod:`core.keys`, by the column.

Each distinct value is brought into its form by the rule itself, but for those that are plain for their type: numbers
in plain digits, date-times in UTC, text in ASCII.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sfleads.core.keys import compared_by
from airflow_provider_sfleads.core.same import comparable
from airflow_provider_sfleads.core.values import NUMBERS
from airflow_provider_sfleads.pipeline.column_text import (
    CLOCK,
    DAY,
    Texts,
    mask_of,
    matches,
    may_hold,
    none_of,
    shortest,
    texts,
    trimmed,
)
from airflow_provider_sfleads.pipeline.digests import combined, digests, hex_texts, repeated_digests
from airflow_provider_sfleads.pipeline.staged_rows import FIELD
from airflow_provider_sfleads.salesforce.describe import FieldInfo

# No -0, which is 0.
_WHOLE = r"(?:0|-?[1-9][0-9]{0,30})"
_UTC = rf"^{DAY}T{CLOCK}(?:\.[0-9]{{1,6}})?(?:Z|\+00:?00)$"
_TO_THE_SECOND = 19
_LONGEST_FRACTION = 30


def same_form(info: FieldInfo, values: pa.Array) -> pa.Array:
    """Bring a field's values into the form of :func:`core.same.comparable`.

    :param values: strings: cells, or what Salesforce answered as text; null and blank ones stand for nothing.
    :return: strings, "" for nothing.
    """
    return _each(_text(values), partial(_plain_forms, info), partial(comparable, info))


def key_form(external: FieldInfo | None, values: pa.Array) -> pa.Array:
    """Bring keys into the form in which they are compared (:func:`core.keys.compared_by`).

    :param values: strings; null stands for an empty key.
    """
    keys = _text(values)
    if external is not None and external.type in NUMBERS:
        return _each(keys, partial(_numbers, _LONGEST_FRACTION), compared_by(external))
    return keys if external is not None and external.case_sensitive else _each(keys, _lower, compared_by(external))


def _text(values: pa.Array) -> pa.Array:
    return trimmed(texts(pc.fill_null(values, "")).array)


def _each(values: pa.Array, forms: Callable[[pa.Array], Texts], rule: Callable[[str], str]) -> pa.Array:
    """Forms by the column where that is right, and by the rule where it is not, each distinct value once."""
    found = forms(values)
    if not found.unsure.any():
        return found.array
    unsure = pa.array(found.unsure)
    coded = values.filter(unsure).dictionary_encode()
    made = pa.array([rule(value) for value in coded.dictionary.to_pylist()], pa.string())
    return pc.replace_with_mask(found.array, unsure, made.take(coded.indices))


def _plain_forms(info: FieldInfo, values: pa.Array) -> Texts:
    if info.type in NUMBERS:
        return _numbers(info.scale, values)
    if info.type == "datetime":
        return Texts(_second(values), ~matches(values, _UTC))
    if info.type == "boolean":
        return Texts(values, ~none_of(values))
    found = _lower(values) if info.ignores_case else Texts(values, none_of(values))
    if info.type == "multipicklist":
        return Texts(found.array, found.unsure | mask_of(pc.match_substring(values, ";")))
    return found


def _lower(values: pa.Array) -> Texts:
    # Outside ASCII, Python and Arrow have different ideas of lower case.
    return Texts(pc.ascii_lower(values), ~mask_of(pc.string_is_ascii(values)))


def _second(values: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(pc.utf8_slice_codeunits(values, 0, _TO_THE_SECOND), "+00:00", "")


def _numbers(scale: int, values: pa.Array) -> Texts:
    """Numbers in plain digits that need no rounding, less the zeros at the end of a fraction."""
    plain = matches(values, rf"^{_WHOLE}(?:\.[0-9]{{0,{scale}}}0*)?$")
    return Texts(shortest(values), ~plain)


def fingerprints(batch: pa.RecordBatch, heading: str, fields: Sequence[FieldInfo]) -> pa.Array:
    """Return texts that are equal where staged rows would have Salesforce hold the same.

    A field that a row leaves alone is another thing than one that it empties.

    :param heading: what the values of all rows stand for.
    :param fields: Lead fields that a row may write, in a fixed order.
    """
    parts = [digests(batch.column("lead_id"))]
    for info in fields:
        cells = batch.column(FIELD + info.name)
        found = repeated_digests(cells, partial(_one_spelling, info))
        found[~mask_of(cells.is_valid())] = 0
        parts.append(found)
    return hex_texts(combined(parts) ^ digests(pa.array([heading])))


def _one_spelling(info: FieldInfo, cells: pa.Array) -> pa.Array:
    """Return cells in one spelling; conversion leaves several to numbers and to multi-select picklists."""
    if info.type in NUMBERS:
        return pc.replace_substring_regex(shortest(cells), "^-0$", "0") if may_hold(cells, b"-") else shortest(cells)
    return (
        _each(cells, partial(_plain_forms, info), partial(comparable, info)) if info.type == "multipicklist" else cells
    )
