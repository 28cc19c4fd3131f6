"""A database in a file that lives as long as a run: what would otherwise grow in memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from airflow_provider_sfleads.results.files import PRIVATE_FILE, PRIVATE_FOLDER

if TYPE_CHECKING:
    import sqlite3

_CACHE_KIB = 32 * 1024


class Scratch:
    """Base of what keeps its rows in such a file; a context manager.

    :param directory: where the file lies; one that a killed worker left there is replaced.
    """

    _FILE: ClassVar[str]
    _TABLES: ClassVar[tuple[str, ...]]
    # Whether threads share it, one at a time.
    _IS_SHARED: ClassVar[bool] = False

    def __init__(self, directory: Path | str) -> None:
        self._path = Path(directory) / self._FILE
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        import sqlite3

        self._path.parent.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        self._path.touch(PRIVATE_FILE)
        # Nothing here outlives the run, so it needs neither a journal nor a flush to disk.
        self._connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=not self._IS_SHARED)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE", f"cache_size=-{_CACHE_KIB}"):
            self._connection.execute(f"PRAGMA {pragma}")
        for table in self._TABLES:
            self._connection.execute(f"CREATE TABLE {table} WITHOUT ROWID")
        self._connection.execute("BEGIN")
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._path.unlink(missing_ok=True)

    @property
    def _database(self) -> sqlite3.Connection:
        if self._connection is None:
            raise ValueError(f"{type(self).__name__} is used outside its context")
        return self._connection
