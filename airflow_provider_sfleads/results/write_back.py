"""Writes each lead's Salesforce id and stage back to the warehouse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count, islice
from typing import TYPE_CHECKING

from airflow_provider_sfleads.exceptions import SyncError, WriteBackError
from airflow_provider_sfleads.exports.connections import driver_message, sql_hook
from airflow_provider_sfleads.exports.table import SqlTable
from airflow_provider_sfleads.results.dialects import dialect_of, table_sql
from airflow_provider_sfleads.results.warehouse import Cell, Warehouse, warehouse_of

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

COLUMNS = ("key", "salesforce_id", "action", "stage", "synced_at", "interval_end")
#: Fingerprints of the values last confirmed, by what the operators call their operation.
CONFIRMED_COLUMNS = {"create": "created_values", "update_stage": "stage_values"}
_TIMES = frozenset({"synced_at", "interval_end"})
_ADDED = frozenset({"interval_end", *CONFIRMED_COLUMNS.values()})
_BATCH = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteBackRow:
    """The state of one lead.

    :param key: the lead's key in the warehouse.
    :param salesforce_id: its Salesforce id; ``None`` keeps the one in the table.
    :param action: ``created``, ``updated`` or ``unchanged``.
    :param stage: its stage; ``None`` keeps the one in the table.
    :param finished_at: when that was so.
    :param confirmed: fingerprint of the values that Salesforce now holds of the row; ``None`` keeps the one there.
    """

    key: str
    salesforce_id: str | None
    action: str
    stage: str | None
    finished_at: datetime | None = None
    confirmed: str | None = None


def check_table(table: SqlTable) -> None:
    """Refuse a table that cannot be written back to, before anything is sent.

    :raises ParameterError: the table's name is none.
    :raises ExportError: the connection is no SQL database.
    """
    table_sql(table.table, dialect_of(sql_hook(table.conn_id).conn_type))


def write_back(
    table: SqlTable,
    rows: Iterable[WriteBackRow],
    *,
    interval_end: datetime | None,
    synced_at: datetime | None = None,
    confirmed_column: str | None = None,
) -> int:
    """Write the state of leads into a table, in one transaction, and return how many rows were replaced or added.

    The table holds ``key, salesforce_id, action, stage, synced_at`` and ``interval_end``, one row a key. The last is
    what keeps a backfill of an old day from replacing what a newer day wrote: a row is left alone where the table's
    ``interval_end`` is later. A run without an interval saw the warehouse as it was then, so its ``synced_at``
    stands in. A table that is missing is made, and to one without ``interval_end`` it is added.

    Rows are staged in a temporary table in batches, so memory stays bounded. Writing the same rows again changes
    nothing. Two writers take turns in Postgres and SQLite, and in DuckDB the second one fails, as its file is locked.

    :param interval_end: end of the run's data interval.
    :param synced_at: time of rows without ``finished_at``; default: now.
    :param confirmed_column: column for :attr:`WriteBackRow.confirmed`, added where it is missing.
    :raises ParameterError: the table's name is none.
    :raises ExportError: the connection is no SQL database.
    :raises WriteBackError: the database refuses; nothing was written then.
    """
    hook = sql_hook(table.conn_id)
    name = table_sql(table.table, dialect_of(hook.conn_type))
    moment = synced_at or datetime.now(UTC)
    try:
        return _in_one_transaction(hook, name, rows, _Batch(interval_end or moment, moment, confirmed_column))
    except SyncError:
        raise
    except _RowsFailedError as failed:
        raise failed.cause from None
    except Exception as problem:  # noqa: BLE001  (each driver has its own exception tree)
        raise WriteBackError(
            f"Nothing was written back to {table.table!r} at connection {table.conn_id!r}; the leads themselves are "
            f"synced: {driver_message(problem, hook=hook)}"
        ) from None


@dataclass(frozen=True, slots=True)
class _Batch:
    """What all rows of a write-back have in common."""

    interval_end: datetime
    moment: datetime
    confirmed: str | None


def _in_one_transaction(hook: DbApiHook, table: str, rows: Iterable[WriteBackRow], batch: _Batch) -> int:
    with closing(warehouse_of(hook)) as warehouse:
        try:
            written = _merge(warehouse, table, rows, batch)
            warehouse.commit()
        except BaseException:
            with suppress(Exception):  # the first error is the one to tell; closing rolls back as well
                warehouse.rollback()
            raise
    return written


class _RowsFailedError(Exception):
    """The rows to write could not be read: not the database's doing."""

    def __init__(self, cause: Exception) -> None:
        super().__init__()
        self.cause = cause


def _merge(warehouse: Warehouse, table: str, rows: Iterable[WriteBackRow], shared: _Batch) -> int:
    columns = _make_ready(warehouse, table, shared.confirmed)
    staged = warehouse.temporary("staged", [*_definitions(warehouse, columns), f"{_seq(warehouse)} BIGINT"])
    merged = warehouse.temporary("merged", _definitions(warehouse, columns))
    cells = _cells(warehouse, rows, shared, tuple(columns)[len(COLUMNS) :])
    while batch := list(islice(cells, _BATCH)):
        warehouse.append(staged, batch)
    warehouse.execute(_merged_sql(columns, table, staged, merged, _seq(warehouse)))
    key, names = columns["key"], ", ".join(columns.values())
    # Delete and insert, because MERGE and upsert are spelled differently everywhere and need a unique key.
    warehouse.execute(f"DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {merged})")  # noqa: S608  (checked names)
    warehouse.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM {merged}")  # noqa: S608
    return warehouse.count(merged)


def _make_ready(warehouse: Warehouse, table: str, confirmed: str | None) -> dict[str, str]:
    """Begin the transaction with a table that has all columns, and return these as SQL by name.

    It is asked for first, because ``CREATE TABLE IF NOT EXISTS`` needs the right to make tables even where there is
    one; a failed statement ends a transaction in some databases, so that a new one is begun.
    """
    wanted = (*COLUMNS, *([confirmed] if confirmed else []))
    columns = {name: warehouse.dialect.identifier(name) for name in wanted}
    warehouse.begin(table)
    try:
        found = warehouse.columns(table)
    except Exception:  # noqa: BLE001  (each driver has its own exception tree)
        warehouse.rollback()
        warehouse.begin(table)
        definitions = ", ".join([*_definitions(warehouse, columns), f"PRIMARY KEY ({columns['key']})"])
        warehouse.execute(f"CREATE TABLE IF NOT EXISTS {table} ({definitions})")
        found = warehouse.columns(table)
    missing = [name for name in wanted if name not in found]
    if not _ADDED.issuperset(missing):
        raise WriteBackError(
            f"The table to write back to, {table}, lacks {', '.join(missing)}. It needs the columns "
            f"{', '.join(COLUMNS)}; name another table and it is made."
        )
    for name in missing:
        kind = warehouse.dialect.time if name in _TIMES else warehouse.dialect.text
        warehouse.execute(f"ALTER TABLE {table} ADD COLUMN {columns[name]} {kind}")
    # A row is deleted and inserted anew: what the other operator confirmed has to come along.
    others = [name for name in CONFIRMED_COLUMNS.values() if name in found and name not in columns]
    return columns | {name: warehouse.dialect.identifier(name) for name in others}


def _definitions(warehouse: Warehouse, columns: dict[str, str]) -> list[str]:
    dialect = warehouse.dialect
    kinds = {name: dialect.time if name in _TIMES else dialect.text for name in columns}
    return [f"{sql} {kinds[name]}{' NOT NULL' * (name == 'key')}" for name, sql in columns.items()]


def _seq(warehouse: Warehouse) -> str:
    return warehouse.dialect.identifier("seq")


def _cells(
    warehouse: Warehouse, rows: Iterable[WriteBackRow], shared: _Batch, confirmed_columns: Sequence[str]
) -> Iterator[tuple[Cell, ...]]:
    as_time = warehouse.dialect.moment
    end = as_time(shared.interval_end)
    numbers = count()
    source = iter(rows)
    while True:
        try:
            row = next(source)
        except StopIteration:
            return
        except Exception as problem:  # noqa: BLE001  (whatever it is, it goes on to the caller)
            raise _RowsFailedError(problem) from None
        finished = as_time(row.finished_at or shared.moment)
        confirmed = [row.confirmed if name == shared.confirmed else None for name in confirmed_columns]
        yield row.key, row.salesforce_id, str(row.action), row.stage, finished, end, *confirmed, next(numbers)


def _merged_sql(columns: dict[str, str], table: str, staged: str, merged: str, seq: str) -> str:
    """Return the statement that joins staged rows with what the table holds, by set and not row by row."""
    kept = {"salesforce_id", "stage", *CONFIRMED_COLUMNS.values()}
    values = ", ".join(
        f"COALESCE(s.{sql}, t.{sql}) AS {sql}" if name in kept else f"s.{sql} AS {sql}" for name, sql in columns.items()
    )
    key, end, names = columns["key"], columns["interval_end"], ", ".join(columns.values())
    return (
        f"INSERT INTO {merged} ({names}) SELECT {names} FROM (SELECT {values}, t.{end} AS standing, "  # noqa: S608
        f"ROW_NUMBER() OVER (PARTITION BY s.{key} ORDER BY s.{seq} DESC, t.{end} DESC) AS place "
        f"FROM {staged} s LEFT JOIN {table} t ON t.{key} = s.{key}) x "
        f"WHERE place = 1 AND (standing IS NULL OR standing <= {end})"
    )
