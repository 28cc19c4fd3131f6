"""Streaming reads per driver, each in bounded memory.

Each function runs a query and is a context manager that yields its column names and an iterator of its batches: record
batches, or lists of what the driver gives for a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import uuid4

from airflow_provider_sfleads.exports.connections import DbApiConnection

if TYPE_CHECKING:
    import pyarrow as pa

Batches: TypeAlias = "Iterator[pa.RecordBatch | Sequence[Sequence[object]]]"
DbApiCursor: TypeAlias = Any
Query = Mapping[str, Any] | Sequence[Any] | None


@contextmanager
def cursor_batches(
    connection: DbApiConnection, sql: str, parameters: Query, fetch_size: int
) -> Iterator[tuple[tuple[str, ...], Batches]]:
    """Read through a DB-API cursor and ``fetchmany``."""
    with closing(_cursor(connection, fetch_size)) as cursor:
        cursor.execute(sql) if parameters is None else cursor.execute(sql, parameters)
        # psycopg2 describes a server-side cursor only once something was fetched.
        first = cursor.fetchmany(fetch_size) if _returns_rows(cursor) else []
        columns = tuple(str(column[0]) for column in cursor.description or ())

        def batches() -> Batches:
            batch = first
            while batch:
                yield batch
                batch = cursor.fetchmany(fetch_size)

        yield columns, batches()


def _cursor(connection: DbApiConnection, fetch_size: int) -> DbApiCursor:
    """Return a cursor that does not buffer the whole result in this process.

    A plain cursor of psycopg (2 and 3) fetches everything at ``execute``; a named one lives in the server. The
    driver decides, not the connection type: Redshift has a Postgres-like type and another driver.
    """
    if _is_postgres(connection):
        cursor = connection.cursor(name=f"sfleads_{uuid4().hex}")
        cursor.itersize = fetch_size
        return cursor
    cursor = connection.cursor()
    cursor.arraysize = fetch_size
    return cursor


def _is_postgres(value: object) -> bool:
    return type(value).__module__.partition(".")[0] in {"psycopg", "psycopg2"}


def _returns_rows(cursor: DbApiCursor) -> bool:
    """Whether there is something to fetch; a server-side cursor exists for queries only."""
    return _is_postgres(cursor) or cursor.description is not None


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
