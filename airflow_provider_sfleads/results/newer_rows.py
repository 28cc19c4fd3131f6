"""Which rows a newer interval has brought up to date, asked when they are sent and not only when they are read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Lock

from airflow_provider_sfleads.results.confirmed_values import Confirmation
from airflow_provider_sfleads.results.scratch_database import Scratch

_BATCH = 20_000
# A second is less than a page takes; a warehouse that takes one to answer is not asked for each page.
_FRESH = 1.0
_SHARE = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where newer runs leave their marks.

    :param count: how many rows newer intervals have brought up to date; another number where one has meanwhile.
    :param rows: those rows.
    """

    count: Callable[[], int]
    rows: Callable[[], Iterable[Confirmation]]


class NewerRows(Scratch):
    """The rows that newer intervals have brought up to date, by digest of the key and in a file; for any thread.

    :param directory: where the file lies.
    :param digests: digests of keys; the same for two that are the same key.
    :param source: tells of these rows.
    :param fresh: seconds for which an answer counts.
    :param share: how many times as long as the asking took it counts at least.
    """

    _FILE = "newer.sqlite"
    _TABLES = ("newer (digest BLOB PRIMARY KEY, id TEXT)",)
    _IS_SHARED = True

    def __init__(
        self,
        directory: Path,
        digests: Callable[[Sequence[str]], list[bytes]],
        source: Source,
        *,
        fresh: float = _FRESH,
        share: float = _SHARE,
    ) -> None:
        super().__init__(directory)
        self._digests = digests
        self._source = source
        self._fresh = fresh
        self._share = share
        self._lock = Lock()
        self._count: int | None = None
        self._stale_at = 0.0

    def among(self, keys: Sequence[str]) -> dict[int, str | None]:
        """Return the places of the rows that a newer interval has brought up to date, with their leads' ids.

        :param keys: the keys of rows that are about to be sent.
        :raises SalesforceLeadsError: where nobody can tell now.
        """
        with self._lock:
            self._refresh()
            if not self._count:
                return {}
            find = "SELECT id FROM newer WHERE digest = ?"
            found = ((n, self._database.execute(find, [one]).fetchone()) for n, one in enumerate(self._digests(keys)))
            return {place: row[0] for place, row in found if row is not None}

    def _refresh(self) -> None:
        began = time.monotonic()
        if self._count is not None and began < self._stale_at:
            return
        count = self._source.count()
        if count != self._count:
            # What is read while others write may be more than was counted: the next count shows that.
            self._load()
            self._count = count
        took = time.monotonic() - began
        self._stale_at = began + took + max(self._fresh, took * self._share)

    def _load(self) -> None:
        rows = iter(self._source.rows())
        while batch := list(islice(rows, _BATCH)):
            newer = zip(self._digests([one.key for one in batch]), (one.lead_id for one in batch), strict=True)
            self._database.executemany("INSERT OR REPLACE INTO newer VALUES (?, ?)", newer)
