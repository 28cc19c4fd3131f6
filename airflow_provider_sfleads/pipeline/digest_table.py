"""A table on disk whose rows are found by digest: what a load has to know of millions of keys, in bounded memory."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from airflow_provider_sfleads.pipeline.digests import Digests, Positions, bytes_of, positions_in

Rows = npt.NDArray[np.void]
"""Rows as numpy's structured arrays have them."""
Choose = Callable[[Rows, Positions], Rows]
"""Makes one row of those of one digest: given rows in the order they were added, and where each digest's begin."""

#: Rows held in memory before they are stored as one sorted run.
RUN_ROWS = 250_000
_DIGEST = [("high", "<u8"), ("low", "<u8")]


def last(rows: Rows, starts: Positions) -> Rows:
    """Return the row that was added last for each digest."""
    chosen: Rows = rows[np.append(starts[1:], len(rows)) - 1]
    return chosen


class DigestTable:
    """Rows by the digests of their keys, one each, in sorted files in a folder that is removed on leaving.

    What is added is sorted run by run. The first search puts the runs together, a range of digests at a time, and of
    several rows of one digest makes one. Files are mapped only while they are searched: what stays mapped would count
    as this process's memory. Small tables stay in memory.

    :param folder: the folder; one that a killed worker left there is replaced.
    :param cells: the cells of a row, as numpy describes them.
    :param choose: makes one row of several.
    """

    def __init__(self, folder: Path, cells: Sequence[tuple[str, str]], choose: Choose = last) -> None:
        self._folder = folder
        self._type = np.dtype([*_DIGEST, *cells])
        self._choose = choose
        self._recent: list[Rows] = []
        self._runs = 0
        self._small = np.empty(0, self._type)

    def __enter__(self) -> Self:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(0o700, parents=True)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, keys: Digests, **cells: npt.NDArray[Any]) -> None:
        """Add rows.

        :param keys: digests of their keys, shape ``(n, 2)``.
        :param cells: of each name one array of n cells.
        """
        rows = np.empty(len(keys), self._type)
        rows["high"], rows["low"] = keys[:, 0], keys[:, 1]
        for name, values in cells.items():
            rows[name] = values
        self._recent.append(rows)
        if sum(map(len, self._recent)) >= RUN_ROWS:
            self._store(np.concatenate([self._small, *self._recent]))
            self._small, self._recent = self._small[:0], []

    def find(self, keys: Digests) -> tuple[Positions, Rows]:
        """Return which of some digests are there, by their positions in order, and the row of each.

        :param keys: shape ``(n, 2)``.
        """
        self._put_together()
        high, rows = self._mapped(0) if self._runs else (np.ascontiguousarray(self._small["high"]), self._small)
        order = np.argsort(keys[:, 0])
        at = np.empty(len(keys), np.int64)
        at[order] = positions_in(high, rows["low"], keys[order])
        found = np.flatnonzero(at >= 0)
        return found, rows[at[found]]

    def batches(self) -> Iterator[Rows]:
        """Yield the rows in the order of their digests, so many at a time."""
        self._put_together()
        count = len(self._mapped(0)[0]) if self._runs else len(self._small)
        for start in range(0, count, RUN_ROWS):
            rows = self._mapped(0)[1] if self._runs else self._small
            yield rows[start : start + RUN_ROWS].copy()

    def _put_together(self) -> None:
        if not self._recent and self._runs <= 1:
            return
        rest = np.concatenate([self._small, *self._recent])
        if not self._runs:
            self._small, self._recent = self._one_each(rest), []
            return
        # Where the disk is full, nothing is forgotten: the next search begins anew.
        if len(rest):
            self._store(rest)
        self._small, self._recent = rest[:0], []
        count = self._runs
        bounds = np.array([(1 << 64) * number // count for number in range(1, count)], np.uint64)
        cuts = [self._cuts(run, bounds) for run in range(count)]
        with self._new("whole.high").open("wb") as high_file, self._new("whole.rows").open("wb") as rows_file:
            for first in range(count):
                pieces = [self._mapped(run)[1][cut[first] : cut[first + 1]] for run, cut in enumerate(cuts)]
                merged = self._one_each(np.concatenate(pieces))
                high_file.write(bytes_of(merged["high"]))
                rows_file.write(bytes_of(merged))
        for half in ("high", "rows"):
            for run in range(1, count):
                (self._folder / f"{run}.{half}").unlink()
            (self._folder / f"whole.{half}").replace(self._folder / f"0.{half}")
        self._runs = 1

    def _cuts(self, run: int, bounds: npt.NDArray[np.uint64]) -> list[int]:
        high = self._mapped(run)[0]
        return [0, *np.searchsorted(high, bounds).tolist(), len(high)]

    def _one_each(self, rows: Rows) -> Rows:
        """Return rows in the order of their digests, one each."""
        high = np.ascontiguousarray(rows["high"])
        order = np.argsort(high, kind="stable")
        ordered = high[order]
        if not (ordered[1:] == ordered[:-1]).any():
            return rows[order]
        rows = rows[np.lexsort((rows["low"], high))]
        is_new = np.ones(len(rows), dtype=np.bool_)
        is_new[1:] = (rows["high"][1:] != rows["high"][:-1]) | (rows["low"][1:] != rows["low"][:-1])
        return self._choose(rows, np.flatnonzero(is_new))

    def _store(self, rows: Rows) -> None:
        """Store rows as one more run, in the order of their digests."""
        rows = self._one_each(rows)
        for half, values in (("high", rows["high"]), ("rows", rows)):
            with self._new(f"{self._runs}.{half}").open("wb") as file:
                file.write(bytes_of(values))
        self._runs += 1

    def _mapped(self, run: int) -> tuple[npt.NDArray[np.uint64], Rows]:
        high = np.memmap(self._folder / f"{run}.high", np.uint64, mode="r")
        return np.asarray(high), np.asarray(np.memmap(self._folder / f"{run}.rows", self._type, mode="r"))

    def _new(self, name: str) -> Path:
        path = self._folder / name
        path.touch(0o600)
        return path
