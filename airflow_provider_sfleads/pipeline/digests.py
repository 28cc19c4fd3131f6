"""Digests of whole columns, and where in a column a value stands."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Digests = npt.NDArray[np.uint64]
"""Shape ``(n, 2)``: 128 bits for each of n values."""
Positions = npt.NDArray[np.int64]

# Longer values are digested one at a time: padded to one width, a column of them would fill the memory.
_WIDEST = 64
_WORD = 8
# A column whose first values repeat, so many times each, is taken by its distinct values.
_SAMPLE, _REPEATED = 1000, 4
_HEX = np.array([f"{byte:02x}" for byte in range(256)], dtype="S2")
# So far a digest stands from where its first bits say, nearly always.
_STEPS = 16
# Of MurmurHash3 (x64, 128 bits), whose way of mixing this follows.
_K1, _K2 = np.uint64(0x87C37B91114253D5), np.uint64(0x4CF5AD432745937F)
_ADD1, _ADD2 = np.uint64(0x52DCE729), np.uint64(0x38495AB5)
_FIVE = np.uint64(5)
_F1, _F2 = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)

_Words = npt.NDArray[np.uint64]
_Mask = npt.NDArray[np.bool_]


def digests(array: pa.Array) -> Digests:
    """Return 128 bits for each string; a null counts as an empty one."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    values = pc.fill_null(array.cast(pa.string()), "")
    lengths = pc.binary_length(values).to_numpy(zero_copy_only=False).astype(np.int64)
    longest = int(lengths.max(initial=0))
    if longest <= _WIDEST:
        return _of_short(values, lengths, longest)
    found = np.empty((len(values), 2), dtype=np.uint64)
    is_short = lengths <= _WIDEST
    short = values.filter(pa.array(is_short))
    found[is_short] = _of_short(short, lengths[is_short], int(lengths[is_short].max(initial=0)))
    long = values.filter(pa.array(~is_short)).to_pylist()
    raw = b"".join(hashlib.blake2b(value.encode(), digest_size=16).digest() for value in long)
    found[~is_short] = np.frombuffer(raw, dtype="<u8").reshape(-1, 2)
    return found


def repeated_digests(column: pa.Array, form: Callable[[pa.Array], pa.Array]) -> Digests:
    """Return the digests of a column's values in some form; of few different ones, each is made once.

    :param form: brings strings into their form; a null counts as an empty one.
    """
    sample = column.slice(0, _SAMPLE)
    if pc.count_distinct(sample).as_py() * _REPEATED > len(sample):
        return digests(form(column))
    coded = column.dictionary_encode()
    # One more value for those that are null.
    values = pa.concat_arrays([coded.dictionary, pa.nulls(1, pa.string())])
    found: Digests = digests(form(values))[pc.fill_null(coded.indices, len(values) - 1).to_numpy()]
    return found


def hex_texts(found: Digests, *, size: int = 12) -> pa.Array:
    """Return the first bytes of digests as hexadecimal digits.

    :param size: how many bytes.
    """
    raw = np.ascontiguousarray(found.astype("<u8")).view(np.uint8)[:, :size]
    offsets = np.arange(len(found) + 1, dtype=np.int32) * 2 * size
    return pa.Array.from_buffers(pa.string(), len(found), [None, pa.py_buffer(offsets), pa.py_buffer(_HEX[raw])])


def combined(parts: Sequence[Digests]) -> Digests:
    """Return one digest out of those of several columns, in their order."""
    words = [part[:, lane] for part in parts for lane in (0, 1)]
    return _mixed(words, np.full(len(parts[0]), len(words), dtype=np.uint64))


class Places:
    """Finds the positions of digests.

    :param known: the digests; position n is that of ``known[n]``.
    """

    def __init__(self, known: Digests) -> None:
        self._known: Digests | None = known
        self._used: npt.NDArray[np.int64] | None = None

    def _sort(self) -> None:
        """Bring the digests into order once somebody asks for one: often nobody does."""
        if self._known is None:
            return
        known, self._known = self._known, None
        high = np.ascontiguousarray(known[:, 0])
        order = np.argsort(high)
        ordered = high[order]
        del high
        if bool((ordered[1:] == ordered[:-1]).any()):
            # Equal digests must stand side by side and in order, also where others share half of theirs.
            order = np.lexsort((known[:, 1], known[:, 0]))
            ordered = known[order, 0]
        self._order = order.astype(np.int32)
        self._high = ordered
        self._low = known[order, 1]
        # Of millions of rows, what is no longer needed is not to stand in memory beside what comes.
        rows = len(known)
        del known, order
        # Digests are even, so that their first bits nearly say where they stand.
        bits = max(1, rows.bit_length() - 1)
        self._shift = np.uint64(64 - bits)
        self._starts = np.searchsorted(ordered, np.arange(1 << bits, dtype=np.uint64) << self._shift).astype(np.int32)

    def find(self, wanted: Digests) -> Positions:
        """Return the first position of each digest; -1 where it has none."""
        self._sort()
        at, found = self._ranks(wanted)
        result = np.full(len(wanted), -1, dtype=np.int64)
        result[found] = self._order[at[found]]
        return result

    def find_each(self, wanted: Digests) -> Positions:
        """Return the next position of each digest that was not given out before; -1 where none is left."""
        self._sort()
        if self._used is None:
            self._used = np.zeros(len(self._high), dtype=np.int64)
        at, found = self._ranks(wanted)
        result = np.full(len(wanted), -1, dtype=np.int64)
        hits = np.flatnonzero(found)
        if not len(hits):
            return result
        groups = at[hits]
        by_group = np.argsort(groups, kind="stable")
        sorted_groups = groups[by_group]
        starts = np.r_[0, np.flatnonzero(np.diff(sorted_groups)) + 1]
        sizes = np.diff(np.r_[starts, len(sorted_groups)])
        rank = np.arange(len(sorted_groups)) - np.repeat(starts, sizes)
        place = sorted_groups + self._used[sorted_groups] + rank
        self._used[sorted_groups[starts]] += sizes
        inside = place < len(self._high)
        place = np.where(inside, place, 0)
        asked = wanted[hits[by_group]]
        left = inside & (self._high[place] == asked[:, 0]) & (self._low[place] == asked[:, 1])
        result[hits[by_group]] = np.where(left, self._order[place], -1)
        return result

    def _ranks(self, wanted: Digests) -> tuple[Positions, npt.NDArray[np.bool_]]:
        """Return where in sorted order the first of each digest stands, and whether it is there."""
        high, low = wanted[:, 0], wanted[:, 1]
        last = len(self._high) - 1
        if last < 0:
            return np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=np.bool_)
        at = self._at_least(high)
        while True:
            safe = np.minimum(at, last)
            alike = (at <= last) & (self._high[safe] == high)
            other = alike & (self._low[safe] != low)
            if not other.any():
                return safe, alike
            at = at + other

    def _at_least(self, high: _Words) -> Positions:
        """Return where in sorted order the first half that is not less stands; as ``np.searchsorted``, but faster."""
        at: Positions = self._starts[high >> self._shift].astype(np.int64)
        open_ = np.arange(len(at))
        for _ in range(_STEPS):
            place = at[open_]
            is_less = self._high[np.minimum(place, len(self._high) - 1)] < high[open_]
            open_ = open_[is_less & (place < len(self._high))]
            if not len(open_):
                return at
            at[open_] += 1
        # Many that are alike stand in the way.
        at[open_] = np.searchsorted(self._high, high[open_])
        return at


def bytes_of(values: npt.NDArray[np.generic]) -> memoryview:
    """Return an array's bytes; ``tofile`` does not notice where the end of them does not fit on the disk."""
    return np.ascontiguousarray(values).view(np.uint8).data


def positions_in(high: _Words, low: _Words, wanted: Digests) -> Positions:
    """Return the position of each digest among sorted ones; -1 where it is not there.

    :param high: first halves of the known ones, in order.
    :param low: their second halves, in no order.
    :param wanted: those asked for; in order, since that is faster.
    """
    found = np.full(len(wanted), -1, dtype=np.int64)
    at = np.searchsorted(high, wanted[:, 0])
    left = np.flatnonzero(at < len(high))
    while len(left):
        left = left[high[at[left]] == wanted[left, 0]]
        is_it = low[at[left]] == wanted[left, 1]
        found[left[is_it]] = at[left[is_it]]
        # Another digest may share its first half.
        left = left[~is_it]
        at[left] += 1
        left = left[at[left] < len(high)]
    return found


def _of_short(values: pa.Array, lengths: npt.NDArray[np.int64], longest: int) -> Digests:
    n = len(values)
    if not n:
        return np.empty((0, 2), dtype=np.uint64)
    width = max(_WORD, -(-longest // _WORD) * _WORD)
    padded = pc.ascii_rpad(values, width=width, padding="\0")
    data, offset = padded.buffers()[2], padded.offset * width
    words = np.frombuffer(data, dtype="<u8", count=n * width // _WORD, offset=offset).reshape(n, width // _WORD)
    columns = [words[:, place] for place in range(words.shape[1])]
    # A value's digest must not go by its neighbours: words beyond its end, there to fill the column, are left out.
    shortest = int(lengths.min())
    ends = [None if shortest > place * _WORD else lengths > place * _WORD for place in range(1, len(columns))]
    return _mixed(columns, lengths.astype(np.uint64), (None, *ends))


def _mixed(words: Sequence[_Words], seed: _Words, which: Sequence[_Mask | None] | None = None) -> Digests:
    """Mix words into one digest each.

    :param which: for each word, the values that have one; ``None`` where all have.
    """
    one, two = seed.copy(), seed ^ _F1
    for word, mask in zip(words, which or [None] * len(words), strict=True):
        if mask is None:
            one, two = _stirred(one, two, word)
        elif mask.any():
            one[mask], two[mask] = _stirred(one[mask], two[mask], word[mask])
    one += two
    two += one
    one, two = _finished(one), _finished(two)
    one += two
    two += one
    return np.stack((one, two), axis=1)


def _stirred(one: _Words, two: _Words, word: _Words) -> tuple[_Words, _Words]:
    one = one ^ _turned(word * _K1, 31) * _K2
    one = (_turned(one, 27) + two) * _FIVE + _ADD1
    two = two ^ _turned(word * _K2, 33) * _K1
    return one, (_turned(two, 31) + one) * _FIVE + _ADD2


def _turned(word: _Words, bits: int) -> _Words:
    return (word << np.uint64(bits)) | (word >> np.uint64(64 - bits))


def _finished(word: _Words) -> _Words:
    word = (word ^ (word >> np.uint64(33))) * _F1
    word = (word ^ (word >> np.uint64(33))) * _F2
    return word ^ (word >> np.uint64(33))
