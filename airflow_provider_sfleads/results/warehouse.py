"""One transaction at a warehouse, the same for every driver."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from airflow_provider_sfleads.exports.sql_connection import DbApiConnection
from airflow_provider_sfleads.results.dialects import Dialect, dialect_of

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

Cell = str | int | datetime | None


def warehouse_of(hook: DbApiHook) -> Warehouse:
    """Open a connection for one transaction."""
    kinds: dict[str, type[Warehouse]] = {"duckdb": DuckDbWarehouse, "sqlite": SqliteWarehouse}
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

    def execute(self, sql: str) -> None:
        """Run a statement."""
        cursor = self._connection.cursor()
        try:
            cursor.execute(sql)
        finally:
            cursor.close()

    def columns(self, table: str) -> frozenset[str]:
        """Return the names of a table's columns, in lower case; the driver's error where there is no such table."""
        cursor = self._connection.cursor()
        try:
            cursor.execute(f"SELECT * FROM {table} WHERE 1 = 0")  # noqa: S608  (a checked identifier)
            return frozenset(str(column[0]).lower() for column in cursor.description or ())
        finally:
            cursor.close()

    def count(self, table: str) -> int:
        """Return the number of a table's rows."""
        cursor = self._connection.cursor()
        try:
            cursor.execute(f"SELECT COUNT(*) FROM {table}")  # noqa: S608  (our own temporary table)
            return int(cursor.fetchone()[0])
        finally:
            cursor.close()

    def temporary(self, purpose: str, definitions: Sequence[str]) -> str:
        """Make a table that goes with the connection, and return its name."""
        name = f"sfleads_{purpose}_{uuid4().hex[:12]}"
        self.execute(f"CREATE TEMPORARY TABLE {name} ({', '.join(definitions)})")
        return name

    def append(self, table: str, rows: list[tuple[Cell, ...]]) -> None:
        """Add rows to a temporary table."""
        marks = ", ".join([self._placeholder] * len(rows[0]))
        cursor = self._connection.cursor()
        try:
            cursor.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608  (our own temporary table)
        finally:
            cursor.close()

    def commit(self) -> None:
        """Make it so."""
        self._connection.commit()

    def rollback(self) -> None:
        """Undo everything since :meth:`begin`."""
        self._connection.rollback()

    def close(self) -> None:
        """Close the connection; what is not committed is undone."""
        self._connection.close()


class SqliteWarehouse(Warehouse):
    """SQLite, whose module begins a transaction by itself only before the first INSERT."""

    def begin(self, table: str) -> None:
        """Begin as a writer, so that two syncs take turns instead of failing in the middle."""
        self.execute("BEGIN IMMEDIATE")
        super().begin(table)


class DuckDbWarehouse(Warehouse):
    """DuckDB, which wants each result fetched to its end, and rows as Arrow: a row at a time takes a millisecond."""

    def begin(self, table: str) -> None:
        """Begin a transaction."""
        super().begin(table)
        self.execute("BEGIN TRANSACTION")

    def execute(self, sql: str) -> None:
        """Run a statement."""
        self._connection.execute(sql).fetchall()

    def columns(self, table: str) -> frozenset[str]:
        """Return the names of a table's columns, in lower case."""
        found = self._connection.execute(f"SELECT * FROM {table} WHERE 1 = 0")  # noqa: S608  (a checked identifier)
        names = frozenset(str(column[0]).lower() for column in found.description)
        found.fetchall()
        return names

    def count(self, table: str) -> int:
        """Return the number of a table's rows."""
        found = self._connection.execute(f"SELECT COUNT(*) FROM {table}")  # noqa: S608  (our own temporary table)
        return int(found.fetchall()[0][0])

    def append(self, table: str, rows: list[tuple[Cell, ...]]) -> None:
        """Add rows to a temporary table."""
        import pyarrow as pa

        batch = f"{table}_batch"
        columns = [pa.array(column) for column in zip(*rows, strict=True)]
        self._connection.register(batch, pa.table(columns, names=[f"c{n}" for n in range(len(columns))]))
        self.execute(f"INSERT INTO {table} SELECT * FROM {batch}")  # noqa: S608  (our own temporary tables)
        self._connection.unregister(batch)

    def commit(self) -> None:
        """Make it so."""
        self.execute("COMMIT")

    def rollback(self) -> None:
        """Undo everything since :meth:`begin`."""
        self.execute("ROLLBACK")
