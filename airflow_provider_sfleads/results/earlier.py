"""What the tries before this one settled, so that a resumed task goes on where the last one stopped."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from airflow_provider_sfleads.core.outcome import Action, Reason
from airflow_provider_sfleads.core.report import Tally
from airflow_provider_sfleads.results.folder import ResultsFolder
from airflow_provider_sfleads.results.recorded import recorded_outcomes

if TYPE_CHECKING:
    import sqlite3

_FILE = "earlier.sqlite"


class EarlierTries:
    """The recorded rows of earlier tries, counted by key in a file, so that memory does not grow with them.

    Rows are told apart by key and by whether they were a key's first row: the same key may stand in the export
    several times, and an empty key is a row of its own each time.

    :param folder: the execution's folder.
    :param directory: where the file lies.
    """

    def __init__(self, folder: ResultsFolder, directory: Path) -> None:
        self._folder = folder
        self._path = directory / _FILE
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        import sqlite3

        self._path.unlink(missing_ok=True)
        self._connection = sqlite3.connect(self._path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=OFF")
        self._connection.execute("PRAGMA synchronous=OFF")
        self._connection.execute("CREATE TABLE rows (digest BLOB PRIMARY KEY, n INTEGER) WITHOUT ROWID")
        self._connection.execute("BEGIN")
        self._cursor = self._connection.cursor()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._path.unlink(missing_ok=True)

    def load(self, tally: Tally) -> None:
        """Read the recorded rows, and count those that are settled into ``tally``."""
        for outcome in recorded_outcomes(self._folder):
            if outcome.action is not Action.NOT_SENT:
                tally.add(outcome)
                self._add(_digest(outcome.key, is_duplicate=outcome.action is Action.DUPLICATE_KEY))
            elif outcome.reason == Reason.OUTCOME_UNKNOWN:
                self._add(_unknown(outcome.key))

    def settled(self, key: str, *, is_duplicate: bool) -> bool:
        """Whether an earlier try settled such a row; each recorded row answers for one row read."""
        return self._take(_digest(key, is_duplicate=is_duplicate))

    def unknown(self, key: str) -> bool:
        """Whether an earlier try sent such a row and never learned what became of it."""
        return self._take(_unknown(key))

    def _add(self, digest: bytes) -> None:
        self._cursor.execute("INSERT INTO rows VALUES (?, 1) ON CONFLICT DO UPDATE SET n = n + 1", (digest,))

    def _take(self, digest: bytes) -> bool:
        self._cursor.execute("UPDATE rows SET n = n - 1 WHERE digest = ? AND n > 0", (digest,))
        return self._cursor.rowcount == 1


def _digest(key: str, *, is_duplicate: bool) -> bytes:
    return _hash("duplicate" if is_duplicate else "first", key)


def _unknown(key: str) -> bytes:
    return _hash("unknown", key)


def _hash(space: str, key: str) -> bytes:
    return hashlib.blake2b(f"{space}\0{key}".encode(errors="surrogatepass"), digest_size=16).digest()
