"""Export the rows of a query."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_sfleads.exceptions import ExportError, ParameterError, WarehouseUnavailableError
from airflow_provider_sfleads.exports.sql_connection import (
    driver_message,
    reading_connection,
    sql_hook,
)
from airflow_provider_sfleads.exports.templated import Templated

if TYPE_CHECKING:
    import pyarrow as pa
    from airflow.providers.common.sql.hooks.sql import DbApiHook

    from airflow_provider_sfleads.exports.record_batches import Chunk, ChunkStream
    from airflow_provider_sfleads.exports.sql_cursors import Batches

_READING = "failed while the rows were read"
Parameters = Mapping[str, Any] | Sequence[Any] | None


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
    _fields: ClassVar[tuple[str, ...]] = ("conn_id", "sql", "parameters", "fetch_size")

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
        from airflow_provider_sfleads.exports.record_batches import ChunkStream

        with self._opened() as (columns, batches), closing(_chunks(columns, batches)) as chunks:
            yield ChunkStream(columns=columns, chunks=chunks)

    @contextmanager
    def _opened(self) -> Iterator[tuple[tuple[str, ...], Batches]]:
        from airflow_provider_sfleads.exports import sql_cursors

        hook = sql_hook(self.conn_id)
        with self._errors(hook, "cannot be opened", WarehouseUnavailableError):
            connection = reading_connection(hook)
        with closing(connection), ExitStack() as stack:
            read = sql_cursors.duckdb_batches if hook.conn_type == "duckdb" else sql_cursors.cursor_batches
            with self._errors(hook, "refuses the query", ExportError):
                found = read(connection, self.sql, self.parameters or None, self.fetch_size)
                columns, batches = stack.enter_context(found)
            self._check(columns)
            yield columns, stack.enter_context(closing(self._fetched(hook, batches)))

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
        from airflow_provider_sfleads.exports.sql_cursors import UnreadableError

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


def _chunks(columns: tuple[str, ...], batches: Batches) -> Generator[Chunk]:
    from airflow_provider_sfleads.exports.record_batches import batch_chunks, value_chunks

    first = next(batches, None)
    if first is not None:
        whole = chain([first], batches)
        is_rows = isinstance(first, Sequence)
        yield from value_chunks(columns, whole) if is_rows else batch_chunks(whole, "the query's result")
