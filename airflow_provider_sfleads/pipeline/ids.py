"""Columns of Salesforce ids: :func:`salesforce.ids.to_18`, by the column.

An id of 18 characters whose check characters are right, and one of 15, are completed for whole columns at once, since
a million different ones would take seconds; whatever else may be an id goes through the rule itself.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sfleads.pipeline.text import Mask, Texts, lengths, texts, trimmed, valid
from airflow_provider_sfleads.salesforce.ids import LEAD_PREFIX, to_18

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


def no_ids(count: int) -> Ids:
    """So many ids that are none."""
    return np.zeros(count, dtype=_FORM)


def id_bytes(values: pa.Array) -> Ids:
    """The 18-character form of ids; empty for what is no id.

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
    """The 18-character form of ids as text, null where there is nothing; unsure of what is no id as it stands.

    :param array: text.
    """
    found, plain = _plain_ids(trimmed(texts(array).array))
    return Texts(id_strings(found), valid(array) & ~plain)


def lead_ids(array: pa.Array) -> pa.Array:
    """The 18-character form of leads' ids; null where there is none or a malformed one.

    :param array: text.
    """
    ids = id_strings(id_bytes(trimmed(array)))
    return pc.if_else(pc.starts_with(ids, LEAD_PREFIX), ids, None)


def lead_ids_only(values: pa.Array) -> bool:
    """Whether each of some strings has the form of a lead's id."""
    fits = pc.match_substring_regex(values, f"^{LEAD_PREFIX}[a-zA-Z0-9]{{12}}(?:[a-zA-Z0-5]{{3}})?$")
    return bool(pc.all(pc.fill_null(fits, fill_value=False), min_count=0).as_py())


def id_strings(ids: Ids) -> pa.Array:
    """Ids as strings; null where there is none."""
    there = ids != b""
    if there.all():
        offsets = np.arange(len(ids) + 1, dtype=np.int32) * _LONG
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(ids))]
        return pa.Array.from_buffers(pa.string(), len(ids), buffers)
    if not there.any():
        return pa.nulls(len(ids), pa.string())
    return pa.array(ids, pa.binary(), mask=~there).cast(pa.string())


def _plain_ids(values: pa.Array) -> tuple[Ids, Mask]:
    """The 18-character form of ids that are right as they stand, and which those are."""
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
    """Ids with their check characters, and which of them are right as they stand."""
    check = _CHECK[_check_places(characters)]
    right = _all_of_each(_LETTERS_AND_DIGITS[characters])
    if characters.shape[1] == _LONG:
        right &= _all_of_each(characters[:, _SHORT:] == check)
        full = characters
    else:
        full = np.concatenate((characters, check), axis=1)
    return np.ascontiguousarray(full).view(_FORM).reshape(-1), right


def _check_places(characters: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """Each id's three check characters by their places: of five characters, which are capitals is one bit each."""
    capital = ((characters - np.uint8(ord("A"))) < _LETTERS).view(np.uint8)
    start, end = _bits(capital, 0), _bits(capital, _SHORT - 8)
    # The two overlap in one character.
    return np.stack((start & 31, (start >> 5) | (end >> 1 & 3) << 3, end >> 3), axis=1)


def _bits(flags: npt.NDArray[np.uint8], at: int) -> npt.NDArray[np.uint64]:
    """Eight flags of each row, from a place on, as the bits of a number, the first one lowest."""
    eight = np.ndarray((len(flags),), dtype="<u8", buffer=flags, offset=at, strides=(flags.shape[1],))
    return (eight * _GATHER) >> np.uint64(56)


def _all_of_each(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Whether all is true, row by row; all of them together, which is the rule, is asked faster."""
    return np.ones(len(flags), dtype=np.bool_) if flags.all() else np.logical_and.reduce(flags, axis=1)
