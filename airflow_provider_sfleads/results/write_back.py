"""Writes each lead's Salesforce id and stage back to the warehouse."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_sfleads.exceptions import SalesforceLeadsError, WriteBackError
from airflow_provider_sfleads.exports.sql_connection import SqlTable, driver_message, sql_hook
from airflow_provider_sfleads.results.columns import in_schema
from airflow_provider_sfleads.results.lead_states import ALWAYS_THERE, SHARED, Own, table_schema
from airflow_provider_sfleads.results.merge import Merge
from airflow_provider_sfleads.results.warehouse import Warehouse, dialect_of, table_sql, warehouse_of

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)
T = TypeVar("T")


def ready_table(table: SqlTable, operation: str, *, remembers: bool) -> None:
    """Make the table with all columns it needs, before the export is read: also the first one can select on it then.

    Where that cannot be done now, the log says so, and the write-back itself is what fails.

    :param operation: which operator's columns, ``create`` or ``update_stage``.
    :param remembers: whether fingerprints are to be written, too.
    :raises ParameterError: the table's name is none.
    :raises ExportError: the connection is no SQL database.
    """
    try:
        with _transaction(table, failed="cannot be made ready to be written back to") as (warehouse, name):
            _make_ready(warehouse, name, Own.of(operation), remembers=remembers)
    except WriteBackError as error:
        log.warning("%s", error)


def forget(table: SqlTable, operation: str, rows: Iterable[pa.RecordBatch]) -> None:
    """Forget what was confirmed of leads that may hold other values by now, and nobody knows which.

    :param rows: theirs; the column ``key`` counts.
    :param operation: which operator's memory, ``create`` or ``update_stage``.
    :raises WriteBackError: the database refuses.
    """
    failed = "was not written back to; what is not sent is still remembered there"
    with _transaction(table, failed=failed) as (warehouse, name):
        own = Own.of(operation)
        columns = _make_ready(warehouse, name, own, remembers=False)
        if own.values in columns:
            key, values = columns["key"], columns[own.values]
            for some in warehouse.portions(_readable(rows)):
                staged = warehouse.temporary("forgotten", table_schema(["key"]))
                for batch in some:
                    warehouse.append(staged, in_schema(batch, table_schema(["key"])))
                known = f"{values} IS NOT NULL AND {key} IN (SELECT {key} FROM {staged})"  # noqa: S608  (checked names)
                warehouse.execute(f"UPDATE {name} SET {values} = '' WHERE {known}")  # noqa: S608


def write_back(
    table: SqlTable,
    states: Iterable[pa.RecordBatch],
    *,
    interval_end: datetime | None,
    operation: str = "create",
    synced_at: datetime | None = None,
    remembers: bool = False,
) -> int:
    """Write the state of leads into a table, in one transaction, and return how many rows were replaced or added.

    The table holds ``key, salesforce_id, action, stage, synced_at``, one row a key, and beyond these: ``interval_end``,
    which keeps a backfill of an old day from replacing what a newer day wrote; ``moved_at``, when a sync last moved
    the lead to its stage, which a repetition of that sync leaves as it is; ``stage_seen_until``, end of the newest
    interval whose run saw that stage; and for each operator the end of the newest interval that it brought the lead up
    to, and what it last confirmed (:class:`Own`). A run without an interval saw the warehouse as it was then, so its
    ``synced_at`` stands in. A table that is missing is made, and the columns beyond the first five are added where they
    are missing.

    They are staged batch by batch and merged by the warehouse, so memory stays bounded. Of a row that was left as it
    is, and that the table holds, only the times and ``action`` are written. Writing the same rows again changes
    nothing. Two writers take turns in Postgres and SQLite, and in DuckDB the second one fails, as its file is locked.

    :param states: batches of :func:`state_schema`.
    :param interval_end: end of the run's data interval.
    :param operation: which operator writes, ``create`` or ``update_stage``.
    :param synced_at: time of rows without ``finished_at``; default: now.
    :param remembers: whether ``confirmed`` is to be kept, in a column that is added where it is missing.
    :raises ParameterError: the table's name is none.
    :raises ExportError: the connection is no SQL database.
    :raises WriteBackError: the database refuses; nothing was written then.
    """
    moment = synced_at or datetime.now(UTC)
    with _transaction(table, failed="was not written back to; the leads themselves are synced") as (warehouse, name):
        own = Own.of(operation)
        columns = _make_ready(warehouse, name, own, remembers=remembers)
        cells = _cells(states, own, tuple(columns), end=interval_end or moment, moment=moment)
        merge = Merge(warehouse, name, columns, own)
        return sum(merge.write(batches) for batches in warehouse.portions(cells))


class _RowsFailedError(Exception):
    """The rows to write could not be read: not the database's doing."""

    def __init__(self, cause: Exception) -> None:
        super().__init__()
        self.cause = cause


@contextmanager
def _transaction(table: SqlTable, *, failed: str) -> Iterator[tuple[Warehouse, str]]:
    """Yield a transaction at the table's warehouse, and the table's name as SQL; commit where the block ends well.

    :param failed: what the error says of the table where the database refuses.
    """
    hook = sql_hook(table.conn_id)
    name = table_sql(table.table, dialect_of(hook.conn_type))
    try:
        with closing(warehouse_of(hook)) as warehouse:
            try:
                yield warehouse, name
                warehouse.commit()
            except BaseException:
                with suppress(Exception):  # the first error is the one to tell; closing rolls back as well
                    warehouse.rollback()
                raise
    except SalesforceLeadsError:
        raise
    except _RowsFailedError as error:
        raise error.cause from None
    except Exception as problem:  # noqa: BLE001  (each driver has its own exception tree)
        raise WriteBackError(
            f"The table {table.table!r} at connection {table.conn_id!r} {failed}: {driver_message(problem, hook=hook)}"
        ) from None


def _readable(rows: Iterable[T]) -> Iterator[T]:
    """Yield rows to write; an error of theirs is not taken for the database's."""
    try:
        yield from rows
    except Exception as problem:  # noqa: BLE001  (whatever it is, it goes on to the caller)
        raise _RowsFailedError(problem) from None


def _make_ready(warehouse: Warehouse, table: str, own: Own, *, remembers: bool) -> dict[str, str]:
    """Begin the transaction with a table that has all columns, and return these as SQL by name.

    It is asked for first, because ``CREATE TABLE IF NOT EXISTS`` needs the right to make tables even where there is
    one; a failed statement ends a transaction in some databases, so that a new one is begun.
    """
    wanted = (*SHARED, own.until, *([own.values] if remembers else []))
    identifier = warehouse.dialect.identifier
    warehouse.begin(table)
    try:
        found = warehouse.columns(table)
    except Exception:  # noqa: BLE001  (each driver has its own exception tree)
        warehouse.rollback()
        warehouse.begin(table)
        definitions = ", ".join(warehouse.dialect.definitions(table_schema(wanted)))
        warehouse.execute(f"CREATE TABLE IF NOT EXISTS {table} ({definitions}, PRIMARY KEY ({identifier('key')}))")
        found = warehouse.columns(table)
    missing = [name for name in wanted if name not in found]
    if not ALWAYS_THERE.isdisjoint(missing):
        raise WriteBackError(
            f"The table to write back to, {table}, lacks {', '.join(missing)}. It needs the columns "
            f"{', '.join(sorted(ALWAYS_THERE))}; name another table and it is made."
        )
    for definition in warehouse.dialect.definitions(table_schema(missing)):
        warehouse.execute(f"ALTER TABLE {table} ADD COLUMN {definition}")
    # A row may be deleted and inserted anew: what the other operator knows of it has to come along.
    others = [name for name in Own.ALL if name in found and name not in wanted]
    return {name: identifier(name) for name in (*wanted, *others)}


def _cells(
    states: Iterable[pa.RecordBatch], own: Own, names: Sequence[str], *, end: datetime, moment: datetime
) -> Iterator[pa.RecordBatch]:
    """Yield the cells of each row, and its number; what only the other operator knows is null.

    :param names: the columns.
    :param end: end of the run's data interval.
    :param moment: time of rows without ``finished_at``.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    schema = table_schema([*names, "seq"])
    time = schema.field("synced_at").type
    until, never = pa.scalar(_in_utc(end), time), pa.scalar(None, time)
    number = 0
    for batch in _readable(states):
        finished = pc.fill_null(batch.column("finished_at"), pa.scalar(_in_utc(moment), time))
        cells = {
            "key": batch.column("key"),
            "salesforce_id": batch.column("salesforce_id"),
            "action": batch.column("action"),
            "stage": batch.column("stage"),
            "synced_at": finished,
            "interval_end": pa.repeat(until, batch.num_rows),
            "moved_at": pc.if_else(batch.column("is_moved"), finished, never),
            "stage_seen_until": pc.if_else(batch.column("stage").is_valid(), until, never),
            own.until: pc.if_else(batch.column("is_current"), until, never),
            own.values: batch.column("confirmed"),
        }
        cells["seq"] = pa.array(range(number, number + batch.num_rows), pa.int64())
        number += batch.num_rows
        yield in_schema(pa.RecordBatch.from_pydict(cells), schema)


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
