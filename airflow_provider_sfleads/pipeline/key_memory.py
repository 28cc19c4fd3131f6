"""Which keys were seen, for whole columns of them: on disk, so that memory does not grow with the export."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from airflow_provider_sfleads.pipeline.digest_of_one import digest_of_one
from airflow_provider_sfleads.pipeline.digests import Digests, bytes_of, digests, positions_in

if TYPE_CHECKING:
    import pyarrow as pa

#: Digests held in memory before they are stored as one run (8 MB).
RECENT = 500_000
# Keys that came alone and are not yet put into an array; and to which size arrays are put together, so that not many
# have to be searched.
_ALONE = 4_096
_SMALL = 32_768
# The filter is small at first, and large once there are so many keys that it would answer too often.
_SMALL_FILTER, _LARGE_FILTER, _FEW = 1 << 18, 1 << 25, 50_000
#: Every pair of two bits in a byte.
_PAIRS = np.array([1 << high | 1 << low for high in range(8) for low in range(high)], dtype=np.uint8)

_Flags = npt.NDArray[np.bool_]
_Words = npt.NDArray[np.uint64]
_Run = tuple[_Words, _Words]
"""Digests in the order of their first halves, and their second halves."""


class KeyMemory:
    """A set of keys: their digests, in sorted runs in a folder that is removed on leaving.

    Keys rest there as digests, never as they are; that two of a billion keys share one of the 128-bit digests has a
    chance of about 10**-21. Nearly every key of an export is new: a Bloom filter (256 KiB, of more than 50,000 keys
    32 MiB) answers for those that surely are, and only the others are looked for in the runs.

    :param directory: where the folder lies; one that a killed worker left there is replaced.
    """

    def __init__(self, directory: Path) -> None:
        self._folder = directory / "keys"
        self._filter = np.zeros(0, dtype=np.uint8)
        self._count = 0
        self._recent: list[_Run] = []
        self._alone: set[tuple[int, int]] = set()
        self._runs: list[Path] = []

    def __enter__(self) -> Self:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(0o700, parents=True)
        self._filter = np.zeros(_SMALL_FILTER, dtype=np.uint8)
        self._count = 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._filter = np.zeros(0, dtype=np.uint8)
        self._alone.clear()
        self._recent.clear()
        self._runs.clear()

    def add(self, key: str, space: str = "key") -> bool:
        """Add a key and say whether it is new.

        :param key: the key as it compares: trimmed, and folded where letter case does not count.
        :param space: keys of different spaces are different keys.
        """
        salt = digest_of_one(space)
        high, low = (half ^ grain for half, grain in zip(digest_of_one(key), salt, strict=True))
        if (high, low) in self._alone:
            return False
        place, pair = low & (len(self._filter) - 1), int(_PAIRS[(low >> 25) % len(_PAIRS)])
        met = int(self._filter[place])
        if met & pair == pair and self._holds(np.array([high], np.uint64), np.array([low], np.uint64))[0]:
            return False
        self._filter[place] = met | pair
        self._alone.add((high, low))
        if len(self._alone) >= _ALONE:
            self._gather()
            self._grow(0)
        return True

    def add_many(self, keys: pa.Array, space: str = "key") -> _Flags:
        """Add strings and say of each whether it is new; of equal ones the first is.

        :param keys: as for :meth:`add`, none of them null.
        :param space: keys of different spaces are different keys.
        """
        if not len(keys):
            return np.zeros(0, dtype=np.bool_)
        self._gather()
        self._grow(len(keys))
        halves = digests(keys) ^ np.array(digest_of_one(space), dtype=np.uint64)
        order, again = _order(halves)
        high, low = halves[:, 0][order], halves[:, 1][order]
        places, pairs = self._bits(low)
        new = np.ones(len(high), dtype=np.bool_)
        new[again] = False
        suspects = np.flatnonzero(new & ((self._filter[places] & pairs) == pairs))
        if len(suspects):
            new[suspects] = ~self._holds(high[suspects], low[suspects])
        if new.all():
            self._mark(places, pairs)
            self._remember((high, low))
        else:
            self._mark(places[new], pairs[new])
            self._remember((high[new], low[new]))
        answer = np.empty_like(new)
        answer[order] = new
        return answer

    def _gather(self) -> None:
        """Put the keys that came alone among the others."""
        if self._alone:
            halves = np.array(sorted(self._alone), dtype=np.uint64)
            self._alone.clear()
            self._remember((halves[:, 0].copy(), halves[:, 1].copy()))

    def _grow(self, more: int) -> None:
        """Take the large filter where the small one is too full for so many keys more."""
        if len(self._filter) == _SMALL_FILTER and self._count + more > min(_FEW, RECENT):
            self._filter = np.zeros(_LARGE_FILTER, dtype=np.uint8)
            for _, low in self._recent:
                self._mark(*self._bits(low))

    def _bits(self, low: _Words) -> tuple[_Words, npt.NDArray[np.uint8]]:
        """Return the byte of the filter and the two bits of it that stand for each digest."""
        return low & np.uint64(len(self._filter) - 1), _PAIRS[(low >> np.uint64(25)) % np.uint64(len(_PAIRS))]

    def _mark(self, places: _Words, pairs: npt.NDArray[np.uint8]) -> None:
        while len(places):
            # Where two share a byte, the later one overwrites the earlier, which then has its turn again.
            self._filter[places] |= pairs
            lost = (self._filter[places] & pairs) != pairs
            places, pairs = places[lost], pairs[lost]

    def _holds(self, high: _Words, low: _Words) -> _Flags:
        """Return which digests, sorted, are there."""
        found, wanted = np.zeros(len(high), dtype=np.bool_), np.stack((high, low), axis=1)
        for run in self._recent:
            found |= positions_in(*run, wanted) >= 0
        for path in self._runs:
            # Opened for this one search: what stays mapped would count as this process's memory.
            stored = np.memmap(path, dtype=np.uint64, mode="r").reshape(2, -1)
            found |= positions_in(stored[0], stored[1], wanted) >= 0
        return found

    def _remember(self, added: _Run) -> None:
        if not len(added[0]):
            return
        self._count += len(added[0])
        while self._recent and len(self._recent[-1][0]) <= min(len(added[0]), _SMALL - len(added[0])):
            added = _merged([self._recent.pop(), added])
        self._recent.append(added)
        if sum(len(high) for high, _ in self._recent) >= RECENT:
            path = self._folder / f"{len(self._runs):05}.run"
            path.touch(0o600)
            with path.open("wb") as file:
                for half in _merged(self._recent):
                    file.write(bytes_of(half))
            self._runs.append(path)
            self._recent.clear()


def _order(halves: Digests) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the order of digests, and which places in it hold an equal one of an earlier position."""
    high = np.ascontiguousarray(halves[:, 0])
    order = np.argsort(high)
    ordered = high[order]
    if not (ordered[1:] == ordered[:-1]).any():
        return order, np.zeros(0, dtype=np.int64)
    order = np.lexsort((halves[:, 1], high))
    return order, np.flatnonzero((halves[order[1:]] == halves[order[:-1]]).all(axis=1)) + 1


def _merged(runs: list[_Run]) -> _Run:
    high = np.concatenate([run[0] for run in runs])
    order = np.argsort(high)
    return high[order], np.concatenate([run[1] for run in runs])[order]
