"""Streaming reads per driver, each in bounded memory.

Each function runs a query and is a context manager that yields its column names and an iterator of its batches: record
batches, or lists of what the driver gives for a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_provider_sfleads.exports.connections import DbApiConnection
from airflow_provider_sfleads.exports.postgres import DbApiCursor, is_postgres, server_cursor

if TYPE_CHECKING:
    import pyarrow as pa

Batches: TypeAlias = "Iterator[pa.RecordBatch | Sequence[Sequence[object]]]"
Query = Mapping[str, Any] | Sequence[Any] | None


class UnreadableError(Exception):
    """Rows hold what a driver cannot read, this time or another.

    :param problem: what the driver raised.
    """

    def __init__(self, problem: Exception) -> None:
        super().__init__(str(problem))
        self.problem = problem


@contextmanager
def cursor_batches(
    connection: DbApiConnection, sql: str, parameters: Query, fetch_size: int
) -> Iterator[tuple[tuple[str, ...], Batches]]:
    """Read through a DB-API cursor and ``fetchmany``.

    :raises UnreadableError: a value cannot be read; also while iterating.
    """
    with closing(_cursor(connection, fetch_size)) as cursor:
        cursor.execute(sql) if parameters is None else cursor.execute(sql, parameters)
        # psycopg2 describes a server-side cursor only once something was fetched.
        first = _fetched(cursor, fetch_size) if _returns_rows(cursor) else []
        columns = tuple(str(column[0]) for column in cursor.description or ())

        def batches() -> Batches:
            batch = first
            while batch:
                yield batch
                batch = _fetched(cursor, fetch_size)

        yield columns, batches()


def _fetched(cursor: DbApiCursor, fetch_size: int) -> Sequence[Sequence[object]]:
    try:
        rows: Sequence[Sequence[object]] = cursor.fetchmany(fetch_size)
    except Exception as problem:
        if _is_of_values(problem):
            raise UnreadableError(problem) from None
        raise
    return rows


def _is_of_values(problem: Exception) -> bool:
    """Say whether an error of a driver is about a value: its own ``DataError`` (PEP 249), or one of Python's.

    A reply that is cut off, out of which no JSON can be read, is the line's fault.
    """
    # SQLite's driver has but OperationalError for text that is not UTF-8.
    if any(kind.__name__ == "DataError" for kind in type(problem).__mro__) or "decode to UTF-8" in str(problem):
        return True
    return isinstance(problem, (ValueError, OverflowError)) and not isinstance(problem, (OSError, JSONDecodeError))


def _cursor(connection: DbApiConnection, fetch_size: int) -> DbApiCursor:
    """Return a cursor that does not buffer the whole result in this process."""
    if is_postgres(connection):
        return server_cursor(connection, fetch_size)
    cursor = connection.cursor()
    cursor.arraysize = fetch_size
    return cursor


def _returns_rows(cursor: DbApiCursor) -> bool:
    """Whether there is something to fetch; a server-side cursor exists for queries only."""
    return is_postgres(cursor) or cursor.description is not None


@contextmanager
def duckdb_batches(
    connection: DbApiConnection, sql: str, parameters: Query, fetch_size: int
) -> Iterator[tuple[tuple[str, ...], Batches]]:
    """Read DuckDB through Arrow: its own cursor converts zoned timestamps twenty times slower."""
    relation = connection.sql(sql, params=parameters)
    if relation is None:
        yield (), iter(())
        return
    with closing(relation.to_arrow_reader(fetch_size)) as reader:
        yield tuple(relation.columns), iter(reader)
