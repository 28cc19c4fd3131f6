"""Remembers which keys were seen, on disk, so that memory does not grow with the export."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from airflow_provider_sfleads.results.digests import digest_of
from airflow_provider_sfleads.results.scratch import Scratch

if TYPE_CHECKING:
    import sqlite3

#: Digests held in memory before they are stored as one run.
RECENT = 200_000
_FILTER_BYTES = 1 << 25
#: Every pair of two bits in a byte.
_PAIRS = tuple(1 << high | 1 << low for high in range(8) for low in range(high))


class KeyIndex(Scratch):
    """A set of keys in a file that is removed on closing.

    It stores digests (16 bytes of BLAKE2b), so that no personal data rests there; that two of a billion keys share
    one has a chance of about 10**-21.

    Nearly every key of an export is new, and one insert each would take longer than all the rest. So a Bloom filter
    (32 MiB) answers for keys that are surely new, and digests are stored by the run, many in one row.

    :param directory: where the file lies; a file that a killed worker left there is replaced.
    """

    _FILE = "keys.sqlite"
    _TABLES = ("seen (bucket INTEGER, run INTEGER, digests BLOB, PRIMARY KEY (bucket, run))",)

    def __init__(self, directory: Path | str) -> None:
        super().__init__(directory)
        self._recent: set[bytes] = set()
        self._filter = bytearray()
        self._runs = 0

    def __enter__(self) -> Self:
        self._filter = bytearray(_FILTER_BYTES)
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, problem, trace)
        self._recent.clear()
        self._filter = bytearray()
        self._runs = 0

    def add(self, key: str, space: str = "key") -> bool:
        """Add a key and say whether it is new.

        :param key: the key as it compares: trimmed, and folded where letter case does not count.
        :param space: keys of different spaces are different keys; a name without NUL.
        """
        database = self._database
        digest = digest_of(key, space)
        recent = self._recent
        if digest in recent:
            return False
        number = int.from_bytes(digest[8:], "little")
        place = number % _FILTER_BYTES
        pair = _PAIRS[(number >> 25) % len(_PAIRS)]
        met = self._filter[place]
        if met & pair == pair:
            if self._is_stored(database, digest):
                return False
        else:
            self._filter[place] = met | pair
        recent.add(digest)
        if len(recent) >= RECENT:
            self._store_run(database)
        return True

    def _store_run(self, connection: sqlite3.Connection) -> None:
        run = self._runs
        buckets = groupby(sorted(self._recent), key=_bucket)
        connection.executemany(
            "INSERT INTO seen VALUES (?, ?, ?)", ((bucket, run, b"".join(digests)) for bucket, digests in buckets)
        )
        self._recent.clear()
        self._runs += 1

    @staticmethod
    def _is_stored(connection: sqlite3.Connection, digest: bytes) -> bool:
        rows = connection.execute("SELECT digests FROM seen WHERE bucket = ?", (_bucket(digest),))
        return any(_holds(digests, digest) for (digests,) in rows)


def _bucket(digest: bytes) -> int:
    return digest[0] << 5 | digest[1] >> 3


def _holds(digests: bytes, digest: bytes) -> bool:
    """Whether ``digest`` is one of ``digests``, and not merely bytes across two of them."""
    at = digests.find(digest)
    while at % len(digest) and at >= 0:
        at = digests.find(digest, at + 1)
    return at >= 0
