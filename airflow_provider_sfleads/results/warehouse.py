"""One transaction at a warehouse, the same for every driver."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from airflow_provider_sfleads.exceptions import ParameterError
from airflow_provider_sfleads.exports.sql_connection import DbApiConnection
from airflow_provider_sfleads.results.columns import sortable

if TYPE_CHECKING:
    import pyarrow as pa
    from airflow.providers.common.sql.hooks.sql import DbApiHook

_PART = re.compile(r'(?P<plain>[^\W\d][\w$]*)|"(?P<quoted>(?:[^"\x00]|"")+)"')
_MOST_PARTS = 3
# Rows bound at once.
_TOGETHER = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one database wants it.

    :param text: type of text columns.
    :param time: type of time columns.
    :param quotes: characters around an identifier.
    :param quotes_all: also quote plain names; where quoting a plain name would change its meaning, it is left plain.
    :param lower: letter case that plain names mean, where the database folds them to lower case.
    :param before: statements at the start of the transaction; ``{name}`` is the table's name as a SQL string.
    :param updates_from: whether it knows ``UPDATE ... FROM``.
    :param times_as: what times are bound as: ``aware`` or naive ``utc`` values, or sortable ``text``.
    """

    text: str = "VARCHAR(255)"
    time: str = "TIMESTAMP"
    quotes: tuple[str, str] = ('"', '"')
    quotes_all: bool = False
    lower: bool = False
    before: tuple[str, ...] = ()
    times_as: str = "utc"
    updates_from: bool = False

    def identifier(self, name: str, *, exact: bool = False) -> str:
        """Return a name as SQL; ``exact`` for one that was given in quotes."""
        if not exact and not self.quotes_all:
            return name
        opening, closing = self.quotes
        name = name.lower() if self.lower and not exact else name
        return f"{opening}{name.replace(closing, closing * 2)}{closing}"

    def definitions(self, schema: pa.Schema) -> list[str]:
        """Return the definitions of a table's columns."""
        import pyarrow as pa

        def kind(one: pa.Field) -> str:
            name = "BIGINT" if pa.types.is_integer(one.type) else self.text
            return f"{self.time if pa.types.is_timestamp(one.type) else name}{'' if one.nullable else ' NOT NULL'}"

        return [f"{self.identifier(one.name)} {kind(one)}" for one in schema]

    def bound(self, column: pa.Array) -> list[Any]:
        """Return a column's values as they are bound."""
        import pyarrow as pa

        if not pa.types.is_timestamp(column.type) or self.times_as == "aware":
            return list(column.to_pylist())
        found = sortable(column, " ") if self.times_as == "text" else column.cast(pa.timestamp("us"))
        return list(found.to_pylist())

    def moment(self, value: datetime | None) -> datetime | str | None:
        """Return a time as it is bound; one without a zone is UTC."""
        if value is None:
            return None
        value = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        if self.times_as == "text":
            return value.isoformat(sep=" ", timespec="microseconds")
        return value if self.times_as == "aware" else value.replace(tzinfo=None)


_DIALECTS = {
    "postgres": Dialect(
        text="TEXT",
        time="TIMESTAMPTZ",
        quotes_all=True,
        lower=True,
        # Two syncs that write the same table take turns; also the making of the table cannot collide then.
        before=("SELECT pg_advisory_xact_lock(hashtext({name}))", "SET LOCAL TIME ZONE 'UTC'"),
        times_as="aware",
        updates_from=True,
    ),
    "duckdb": Dialect(
        text="VARCHAR",
        time="TIMESTAMPTZ",
        quotes_all=True,
        before=("SET TimeZone = 'UTC'", "BEGIN TRANSACTION"),
        times_as="aware",
        updates_from=True,
    ),
    # Its module begins a transaction by itself only before the first INSERT. Begun as a writer, so that two syncs take
    # turns instead of failing in the middle.
    "sqlite": Dialect(
        text="TEXT",
        time="TEXT",
        quotes_all=True,
        before=("BEGIN IMMEDIATE",),
        times_as="text",
        # https://www.sqlite.org/lang_update.html
        updates_from=sqlite3.sqlite_version_info >= (3, 33),
    ),
    "mysql": Dialect(quotes=("`", "`"), quotes_all=True, time="DATETIME(6)"),
    "snowflake": Dialect(text="VARCHAR", time="TIMESTAMP_TZ", times_as="aware"),
}


def dialect_of(conn_type: str) -> Dialect:
    """Return the dialect of a connection type; plain standard SQL for one that is not known."""
    return _DIALECTS.get(conn_type, Dialect())


def table_sql(table: str, dialect: Dialect) -> str:
    """Return a table's name as SQL.

    Plain names mean what they mean in the database's own SQL; names in double quotes are taken exactly.

    :raises ParameterError: it is no table's name.
    """
    return ".".join(dialect.identifier(name, exact=exact) for name, exact in _parts(table))


def _parts(table: str) -> Sequence[tuple[str, bool]]:
    parts: list[tuple[str, bool]] = []
    at = 0
    while match := _PART.match(table, at):
        quoted = match["quoted"]
        parts.append((match["plain"], False) if quoted is None else (quoted.replace('""', '"'), True))
        at = match.end()
        if at == len(table) and len(parts) <= _MOST_PARTS:
            return parts
        if table[at : at + 1] != ".":
            break
        at += 1
    raise ParameterError(
        f"{table!r} is no table name. Write table or schema.table, in letters, digits and _ (or in double quotes)."
    )


def warehouse_of(hook: DbApiHook) -> Warehouse:
    """Open a connection for one transaction."""
    kinds = {"duckdb": DuckDbWarehouse, "postgres": PostgresWarehouse}
    return kinds.get(hook.conn_type, Warehouse)(hook)


class Warehouse:
    """One transaction through PEP 249."""

    def __init__(self, hook: DbApiHook) -> None:
        self.dialect: Dialect = dialect_of(hook.conn_type)
        self._placeholder = hook.placeholder
        self._connection: DbApiConnection = hook.get_conn()
        if hook.supports_autocommit:
            hook.set_autocommit(self._connection, autocommit=False)

    def begin(self, table: str) -> None:
        """Begin a transaction that is to write ``table``."""
        name = "'" + table.replace("'", "''") + "'"
        for statement in self.dialect.before:
            self.execute(statement.format(name=name))

    def execute(self, sql: str) -> int:
        """Run a statement, and return how many rows it has written, as far as the driver says that."""
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(sql)
            written = cursor.rowcount
            return max(written, 0) if isinstance(written, int) else 0

    def select(self, sql: str) -> tuple[Sequence[Any], Sequence[Any]]:
        """Run a query, and return what the driver says of its columns, and the rows."""
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(sql)
            return cursor.description or (), cursor.fetchall()

    def columns(self, table: str) -> frozenset[str]:
        """Return the names of a table's columns, in lower case; the driver's error where there is no such table."""
        columns, _ = self.select(f"SELECT * FROM {table} WHERE 1 = 0")  # noqa: S608  (a checked identifier)
        return frozenset(str(column[0]).lower() for column in columns)

    def portions(self, batches: Iterable[pa.RecordBatch]) -> Iterator[Iterable[pa.RecordBatch]]:
        """Yield rows in portions, each of which is to be written before the next is taken."""
        yield batches

    def temporary(self, purpose: str, schema: pa.Schema) -> str:
        """Make a table that goes with the connection, and return its name."""
        name = self._name(purpose)
        self.execute(f"CREATE TEMPORARY TABLE {name} ({', '.join(self.dialect.definitions(schema))})")
        return name

    def _name(self, purpose: str) -> str:
        return f"sfleads_{purpose}_{uuid4().hex[:12]}"

    def filled(self, purpose: str, schema: pa.Schema, sql: str) -> tuple[str, int]:
        """Make such a table of what a query finds, and return its name and the number of its rows."""
        name = self.temporary(purpose, schema)
        self.execute(f"INSERT INTO {name} ({', '.join(map(self.dialect.identifier, schema.names))}) {sql}")
        _, rows = self.select(f"SELECT COUNT(*) FROM {name}")  # noqa: S608  (our own temporary table)
        return name, int(rows[0][0])

    def append(self, table: str, rows: pa.RecordBatch) -> None:
        """Add rows to a temporary table, whose columns they have."""
        marks = ", ".join([self._placeholder] * rows.num_columns)
        values = zip(*map(self.dialect.bound, rows.columns), strict=True)
        with closing(self._connection.cursor()) as cursor:
            # Some drivers make one statement of all, and databases limit what that may hold (Snowflake 16,384 rows).
            while some := list(islice(values, _TOGETHER)):
                cursor.executemany(f"INSERT INTO {table} VALUES ({marks})", some)  # noqa: S608  (our own temporary table)

    def commit(self) -> None:
        """Make it so."""
        self._connection.commit()

    def rollback(self) -> None:
        """Undo everything since :meth:`begin`."""
        self._connection.rollback()

    def close(self) -> None:
        """Close the connection; what is not committed is undone."""
        self._connection.close()


class DuckDbWarehouse(Warehouse):
    """DuckDB, which works in this process, so that it is given few rows at a time; it reads them where Arrow has them.

    It wants each result fetched to its end.
    """

    #: Rows that it is given at a time.
    PORTION = 250_000

    def __init__(self, hook: DbApiHook) -> None:
        super().__init__(hook)
        self._staged: dict[str, tuple[pa.Schema, list[pa.RecordBatch]]] = {}
        self._shown: list[str] = []

    def execute(self, sql: str) -> int:
        """Run a statement, and return how many rows it has written, where it writes some."""
        self._show()
        found = self._connection.execute(sql).fetchall()
        return found[0][0] if found and isinstance(found[0][0], int) else 0

    def select(self, sql: str) -> tuple[Sequence[Any], Sequence[Any]]:
        """Run a query, and return what the driver says of its columns, and the rows."""
        self._show()
        found = self._connection.execute(sql)
        return found.description, found.fetchall()

    def portions(self, batches: Iterable[pa.RecordBatch]) -> Iterator[Iterable[pa.RecordBatch]]:
        """Yield rows in portions, each of which is to be written before the next is taken."""
        held: list[pa.RecordBatch] = []
        for batch in batches:
            held.append(batch)
            if sum(map(len, held)) >= self.PORTION:
                yield held
                held = []
                self._forget()
        if held:
            yield held

    def temporary(self, purpose: str, schema: pa.Schema) -> str:
        """Make a table that goes with the connection, and return its name."""
        name = self._name(purpose)
        self._staged[name] = (schema, [])
        return name

    def filled(self, purpose: str, schema: pa.Schema, sql: str) -> tuple[str, int]:
        """Make such a table of what a query finds, and return its name and the number of its rows."""
        # What it finds has its types.
        del schema
        self._show()
        name, found = self._name(purpose), self._connection.sql(sql).to_arrow_table()
        self._register(name, found)
        return name, found.num_rows

    def append(self, table: str, rows: pa.RecordBatch) -> None:
        """Add rows to a temporary table, whose columns they have."""
        self._staged[table][1].append(rows)

    def _show(self) -> None:
        """Let the database see the rows that it has not seen yet."""
        import pyarrow as pa

        while self._staged:
            name, (schema, batches) = self._staged.popitem()
            self._register(name, pa.Table.from_batches(batches, schema))

    def _register(self, name: str, rows: pa.Table) -> None:
        self._connection.register(name, rows)
        self._shown.append(name)

    def _forget(self) -> None:
        while self._shown:
            self._connection.unregister(self._shown.pop())

    def commit(self) -> None:
        """Make it so; the driver's own call passes where no transaction is open."""
        self.execute("COMMIT")


class PostgresWarehouse(Warehouse):
    """PostgreSQL, which takes rows by COPY: by statements, each is a round trip of its own."""

    def append(self, table: str, rows: pa.RecordBatch) -> None:
        """Add rows to a temporary table, whose columns they have.

        https://www.postgresql.org/docs/current/sql-copy.html: an empty field is a null, a quoted one an empty text.
        """
        import pyarrow as pa
        import pyarrow.csv as pa_csv

        columns = [sortable(column) if pa.types.is_timestamp(column.type) else column for column in rows.columns]
        written, data = pa.RecordBatch.from_arrays(columns, names=rows.schema.names), BytesIO()
        pa_csv.write_csv(written, data, pa_csv.WriteOptions(include_header=False, quoting_style="all_valid"))
        sql = f"COPY {table} FROM STDIN WITH (FORMAT csv, ENCODING 'UTF8')"
        with closing(self._connection.cursor()) as each:
            cursor: Any = each
            # psycopg2 has the one, psycopg the other.
            if hasattr(cursor, "copy_expert"):
                data.seek(0)
                cursor.copy_expert(sql, data)
            elif hasattr(cursor, "copy"):
                with cursor.copy(sql) as stream:
                    stream.write(data.getvalue())
            else:
                super().append(table, rows)
