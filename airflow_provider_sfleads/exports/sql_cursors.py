"""Stream a query's rows out of each driver, in bounded memory.

Each function for a kind of driver runs a query and is a context manager that yields its column names and an iterator
of its batches: record batches, or lists of what the driver gives for a row.

PostgreSQL knows dates and times which Python does not have: ``infinity``, years before Christ and beyond 9999, and
24:00 (PostgreSQL documentation, "Date/Time Types"). psycopg raises on them, which ends the whole read, also where
nobody wants their column; psycopg2 raises on some and takes the last day of 9999 for ``infinity``. Here each such value
is its text, and costs at most its row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import uuid4

from airflow_provider_sfleads.exports.sql_connection import DbApiConnection

if TYPE_CHECKING:
    import pyarrow as pa
    from psycopg.abc import AdaptContext, Buffer
    from psycopg.adapt import Loader

Batches: TypeAlias = "Iterator[pa.RecordBatch | Sequence[Sequence[object]]]"
Query = Mapping[str, Any] | Sequence[Any] | None
DbApiCursor: TypeAlias = Any
_Cast: TypeAlias = Callable[[str | None, DbApiCursor], object]

# Types with their OIDs and their arrays' (PostgreSQL's catalog pg_type).
_TYPES = {
    "date": (1082, 1182),
    "timestamp": (1114, 1115),
    "timestamptz": (1184, 1185),
    "time": (1083, 1183),
    "timetz": (1266, 1270),
    "interval": (1186, 1187),
}
# Of these a driver makes another value: psycopg2 the end of the calendar, or 00:00 of 24:00; psycopg a span of nothing,
# and one of minus a million years.
_ENDLESS = frozenset({"infinity", "-infinity"})
_MIDNIGHT = "24:"
_ODD_INTERVAL = re.compile(rb"-?(infinity|[0-9]{7,} year)")


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
    is_postgres = _driver(connection) in ("psycopg", "psycopg2")
    with closing(_server_cursor(connection) if is_postgres else connection.cursor()) as cursor:
        cursor.arraysize = fetch_size
        cursor.execute(sql) if parameters is None else cursor.execute(sql, parameters)
        # A server-side cursor exists for queries only, and psycopg2 describes one only once something was fetched.
        first = _fetched(cursor, fetch_size) if is_postgres or cursor.description is not None else []
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


def _driver(connection: DbApiConnection) -> str:
    """Return the name of a connection's driver: Redshift has a Postgres-like connection type and another driver."""
    return type(connection).__module__.partition(".")[0]


def _server_cursor(connection: DbApiConnection) -> DbApiCursor:
    """Return a cursor of PostgreSQL whose rows are tuples; a plain one of its drivers fetches all at ``execute``."""
    make = _psycopg2_cursor if _driver(connection) == "psycopg2" else _psycopg_cursor
    return make(connection, f"sfleads_{uuid4().hex}")


def _psycopg_cursor(connection: DbApiConnection, name: str) -> DbApiCursor:
    from psycopg.pq import Format
    from psycopg.rows import tuple_row

    # Airflow's connection extra `cursor` may ask for rows as dicts.
    cursor = connection.cursor(name=name, row_factory=tuple_row)
    for kind, (oid, _) in _TYPES.items():
        odd = _ODD_INTERVAL if kind == "interval" else None
        cursor.adapters.register_loader(oid, _or_text(cursor.adapters.get_loader(oid, Format.TEXT), odd))
    return cursor


def _or_text(known: type[Loader], odd: re.Pattern[bytes] | None) -> type[Loader]:
    """Return a loader that gives the text of what a known one cannot load, or takes for something else."""
    from psycopg.adapt import Loader

    class OrText(Loader):
        # No subclass of the known one: where that is written in C, its own C method would be called instead.
        def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
            super().__init__(oid, context)
            self._load = known(oid, context).load

        def load(self, data: Buffer) -> object:
            if odd is not None and odd.match(data):
                return bytes(data).decode()
            try:
                return self._load(data)
            except Exception:  # noqa: BLE001 - the driver's own errors, and Python's
                return bytes(data).decode()

    return OrText


def _psycopg2_cursor(connection: DbApiConnection, name: str) -> DbApiCursor:
    from psycopg2 import extensions  # type: ignore[import-untyped]

    cursor = connection.cursor(name, cursor_factory=extensions.cursor)
    known = {**extensions.string_types, **connection.string_types}
    for kind, (oid, array) in _TYPES.items():
        one = extensions.new_type((oid,), kind, _cast_or_text(known[oid], is_time=kind in ("time", "timetz")))
        extensions.register_type(one, cursor)
        extensions.register_type(extensions.new_array_type((array,), f"{kind}[]", one), cursor)
    return cursor


def _cast_or_text(known: _Cast, *, is_time: bool) -> _Cast:
    """Return a typecaster that gives the text of what a known one cannot cast, or takes for something else."""

    def cast(text: str | None, cursor: DbApiCursor) -> object:
        if text is None or text in _ENDLESS or (is_time and text.startswith(_MIDNIGHT)):
            return text
        try:
            return known(text, cursor)
        except Exception:  # noqa: BLE001 - the driver's own errors, and Python's
            return text

    return cast
