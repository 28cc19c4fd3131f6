"""Columns of record ids: ``core.ids`` by the column."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sfleads.columnar.text import Mask, Texts, lengths, none_of, texts, trimmed, valid
from airflow_provider_sfleads.core.ids import LEAD_PREFIX, lead_id

_SHORT, _FULL = 15, 18
_GROUP_BITS = np.array([1, 2, 4, 8, 16], dtype=np.uint8)
_CHECKS = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345", dtype=np.uint8)
_CAPITAL = 2


def _classes() -> npt.NDArray[np.uint8]:
    """For each byte: 2 for a capital, 1 for another letter or a digit, 0 for what no id holds."""
    kinds = np.zeros(256, dtype=np.uint8)
    kinds[list(b"abcdefghijklmnopqrstuvwxyz0123456789")] = 1
    kinds[list(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")] = _CAPITAL
    return kinds


_CLASSES = _classes()


def full_ids(array: pa.Array) -> Texts:
    """The 18-character form of ids, null where there is nothing; unsure of what is no id as it stands.

    :param array: text.
    """
    text = trimmed(texts(array).array)
    there = valid(text)
    size = np.where(there, lengths(text), 0)
    sure = none_of(text)
    full = size == _FULL
    if full.any():
        found = text if full.all() else text.filter(pa.array(full))
        head = bytes_of_width(found, _FULL)
        sure[full] = _is_shaped(head) & (_checks(head) == head[:, _SHORT:]).all(axis=1)
    short = size == _SHORT
    if short.any():
        head = bytes_of_width(text.filter(pa.array(short)), _SHORT)
        sure[short] = _is_shaped(head)
        text = pc.replace_with_mask(text, pa.array(short), strings_of_width(np.hstack((head, _checks(head)))))
    empty = there & (size == 0)
    if empty.any():
        text = pc.if_else(pa.array(empty), None, text)
    return Texts(text, there & ~sure & ~empty)


def lead_ids(array: pa.Array) -> pa.Array:
    """The 18-character form of leads' ids; null where there is none or a malformed one.

    :param array: text.
    """
    found = full_ids(array)
    known = pc.if_else(pc.starts_with(found.array, LEAD_PREFIX), found.array, None)
    if not found.unsure.any():
        return known
    unsure = pa.array(found.unsure)
    rest = [lead_id(value) for value in trimmed(array.filter(unsure)).to_pylist()]
    return pc.replace_with_mask(known, unsure, pa.array(rest, pa.string()))


def bytes_of_width(text: pa.Array, width: int) -> npt.NDArray[np.uint8]:
    """Strings of one width in bytes, none of them null, one a row."""
    start = np.frombuffer(text.buffers()[1], dtype=np.int32, count=1, offset=text.offset * 4)[0]
    data = np.frombuffer(text.buffers()[2], dtype=np.uint8, count=len(text) * width, offset=int(start))
    return data.reshape(len(text), width)


def strings_of_width(rows: npt.NDArray[np.uint8]) -> pa.Array:
    """Rows of bytes, one a string, as strings."""
    offsets = np.arange(len(rows) + 1, dtype=np.int32) * rows.shape[1]
    return pa.Array.from_buffers(pa.string(), len(rows), [None, pa.py_buffer(offsets), pa.py_buffer(rows.tobytes())])


def _is_shaped(rows: npt.NDArray[np.uint8]) -> Mask:
    return np.asarray(_CLASSES[rows[:, :_SHORT]].all(axis=1), dtype=np.bool_)


def _checks(rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The three check characters of each id."""
    capitals = (_CLASSES[rows[:, :_SHORT]] == _CAPITAL).reshape(len(rows), 3, 5)
    found: npt.NDArray[np.uint8] = _CHECKS[(capitals * _GROUP_BITS).sum(axis=2, dtype=np.uint8)]
    return found
