"""Export the rows of a query, streamed out of each driver in bounded memory.

PostgreSQL knows dates and times which Python does not have: ``infinity``, years before Christ and beyond 9999, and
24:00 (PostgreSQL documentation, "Date/Time Types"). psycopg raises on them, which ends the whole read, also where
nobody wants their column; psycopg2 raises on some and takes the last day of 9999 for ``infinity``. Here each such value
is its text, and costs at most its row.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias
from uuid import uuid4

from airflow_provider_sfleads.exceptions import ExportError, ParameterError, WarehouseUnavailableError
from airflow_provider_sfleads.exports.sql_connection import (
    DbApiConnection,
    driver_message,
    reading_connection,
    sql_hook,
)
from airflow_provider_sfleads.exports.templated import Templated

if TYPE_CHECKING:
    import pyarrow as pa
    from airflow.providers.common.sql.hooks.sql import DbApiHook
    from psycopg.abc import AdaptContext, Buffer
    from psycopg.adapt import Loader

    from airflow_provider_sfleads.exports.record_batches import ChunkStream

Batches: TypeAlias = "Iterator[pa.RecordBatch | Sequence[Sequence[object]]]"
Parameters = Mapping[str, Any] | Sequence[Any] | None
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
_ODD_INTERVAL = re.compile(rb"-?(infinity|[0-9]{7,} year)")
_READING = "failed while the rows were read"


class SqlExport(Templated):
    """The rows of a query at an Airflow SQL connection, streamed and never held whole.

    Values arrive as the driver's Python values (``Decimal``, ``datetime`` ...); UUIDs arrive as text, and so do dates
    and times of Postgres and DuckDB that Python does not have (``infinity``, the year 20000, years before Christ): a
    date field refuses their row, and where nobody maps them they do not matter. Order the query if it matters which of
    two rows with the same key is taken. Two result columns of one name are an error.

    Postgres is read through a server-side cursor, DuckDB through Arrow batches and read-only, everything else
    through ``fetchmany`` of the driver's cursor. Closing the stream closes the database connection.

    :param conn_id: Airflow connection whose hook is a ``DbApiHook``.
    :param sql: one SELECT statement, or the name of a ``.sql`` file (the operator's ``template_ext``).
    :param parameters: bind values in the driver's own placeholder style; keep values out of ``sql`` itself.
    :param fetch_size: rows a round trip to the warehouse, and so the rows held in memory.
    """

    template_fields: ClassVar[tuple[str, ...]] = ("conn_id", "sql", "parameters")

    def __init__(self, conn_id: str, sql: str, parameters: Parameters = None, fetch_size: int = 10_000) -> None:
        if type(fetch_size) is not int or fetch_size < 1:
            raise ParameterError(f"fetch_size must be a whole number of rows, 1 or more, not {fetch_size!r}.")
        self.conn_id = conn_id
        self.sql = sql
        self.parameters = parameters
        self.fetch_size = fetch_size

    @contextmanager
    def open(self) -> Iterator[ChunkStream]:
        """Run the query and yield its rows in chunks; the connection is closed when the context is left.

        :raises ExportError: the connection is none, the query is refused, columns share a name, or, also while
            iterating, the driver cannot read a value.
        :raises WarehouseUnavailableError: the connection cannot be opened; also while iterating, when it fails then.
        """
        from airflow_provider_sfleads.exports.record_batches import ChunkStream, batch_chunks, value_chunks

        hook = sql_hook(self.conn_id)
        is_duckdb = hook.conn_type == "duckdb"
        with self._errors(hook, "cannot be opened", WarehouseUnavailableError):
            connection = reading_connection(hook)
        with closing(connection), ExitStack() as stack:
            read = duckdb_batches if is_duckdb else cursor_batches
            with self._errors(hook, "refuses the query", ExportError):
                found = read(connection, self.sql, self.parameters or None, self.fetch_size)
                columns, batches = stack.enter_context(found)
            self._check(columns)
            fetched = stack.enter_context(closing(self._fetched(hook, batches)))
            chunks = batch_chunks(fetched, "the query's result") if is_duckdb else value_chunks(columns, fetched)
            yield ChunkStream(columns=columns, chunks=stack.enter_context(closing(chunks)))

    def _check(self, columns: tuple[str, ...]) -> None:
        query = f"The query at connection {self.conn_id!r} returns"
        if not columns:
            raise ExportError(f"{query} no rows at all; it must be a SELECT.")
        twice = ", ".join(repr(name) for name, count in Counter(columns).items() if count > 1)
        if twice:
            raise ExportError(f"{query} more than one column named {twice}; give each its own name with AS.")

    def _fetched(self, hook: DbApiHook, batches: Batches) -> Generator[pa.RecordBatch | Sequence[Sequence[object]]]:
        while True:
            with self._errors(hook, _READING, WarehouseUnavailableError):
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    @contextmanager
    def _errors(self, hook: DbApiHook, what: str, error: type[ExportError]) -> Iterator[None]:
        """Turn what a driver raises (each has its own exception tree) into an error of ours.

        :param what: what the connection does that fails.
        """

        def said(what: str, problem: Exception) -> str:
            message = driver_message(problem, hook=hook, parameters=self.parameters)
            return f"Connection {self.conn_id!r} {what}: {message}"

        try:
            yield
        except ExportError:
            raise
        except UnreadableError as unreadable:
            raise ExportError(
                f"{said(_READING, unreadable.problem).rstrip('.')}. Another try would meet it again, and the driver "
                "cannot read past it: it may be a value that Python cannot hold, such as a date after 9999, in any "
                "column of the query. Leave that column out, or CAST it to text."
            ) from None
        except Exception as problem:  # noqa: BLE001
            raise error(said(what, problem)) from None


class UnreadableError(Exception):
    """Rows hold what a driver cannot read, this time or another.

    :param problem: what the driver raised.
    """

    def __init__(self, problem: Exception) -> None:
        super().__init__(str(problem))
        self.problem = problem


@contextmanager
def cursor_batches(
    connection: DbApiConnection, sql: str, parameters: Parameters, fetch_size: int
) -> Iterator[tuple[tuple[str, ...], Batches]]:
    """Read through a DB-API cursor and ``fetchmany``.

    :raises UnreadableError: a value cannot be read; also while iterating.
    """
    # By the driver: Redshift has a Postgres-like connection type and another one. A plain cursor of PostgreSQL's
    # drivers fetches all at `execute`.
    driver = type(connection).__module__.partition(".")[0]
    server_cursor = {"psycopg": _psycopg_cursor, "psycopg2": _psycopg2_cursor}.get(driver)
    with closing(server_cursor(connection) if server_cursor else connection.cursor()) as cursor:
        cursor.arraysize = fetch_size
        cursor.execute(sql) if parameters is None else cursor.execute(sql, parameters)
        # A server-side cursor exists for queries only, and psycopg2 describes one only once something was fetched.
        first = _fetched(cursor, fetch_size) if server_cursor or cursor.description is not None else []
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
    connection: DbApiConnection, sql: str, parameters: Parameters, fetch_size: int
) -> Iterator[tuple[tuple[str, ...], Batches]]:
    """Read DuckDB through Arrow: its own cursor converts zoned timestamps twenty times slower."""
    relation = connection.sql(sql, params=parameters)
    if relation is None:
        yield (), iter(())
        return
    with closing(relation.to_arrow_reader(fetch_size)) as reader:
        yield tuple(relation.columns), iter(reader)


def _psycopg_cursor(connection: DbApiConnection) -> DbApiCursor:
    """Return a server-side cursor whose rows are tuples."""
    from psycopg.pq import Format
    from psycopg.rows import tuple_row

    # Airflow's connection extra `cursor` may ask for rows as dicts.
    cursor = connection.cursor(name=f"sfleads_{uuid4().hex}", row_factory=tuple_row)
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


def _psycopg2_cursor(connection: DbApiConnection) -> DbApiCursor:
    """Return a server-side cursor whose rows are tuples."""
    from psycopg2 import extensions  # type: ignore[import-untyped]

    cursor = connection.cursor(f"sfleads_{uuid4().hex}", cursor_factory=extensions.cursor)
    known = {**extensions.string_types, **connection.string_types}
    for kind, (oid, array) in _TYPES.items():
        one = extensions.new_type((oid,), kind, _cast_or_text(known[oid], is_time=kind in ("time", "timetz")))
        extensions.register_type(one, cursor)
        extensions.register_type(extensions.new_array_type((array,), f"{kind}[]", one), cursor)
    return cursor


def _cast_or_text(known: _Cast, *, is_time: bool) -> _Cast:
    """Return a typecaster that gives the text of what a known one cannot cast, or takes for something else."""

    def cast(text: str | None, cursor: DbApiCursor) -> object:
        if text is None or text in _ENDLESS or (is_time and text.startswith("24:")):
            return text
        try:
            return known(text, cursor)
        except Exception:  # noqa: BLE001 - the driver's own errors, and Python's
            return text

    return cast
