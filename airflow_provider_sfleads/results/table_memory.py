"""What earlier runs confirmed, as the table to write back to remembers it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime

from airflow_provider_sfleads.exceptions import ExportError
from airflow_provider_sfleads.exports import SqlExport, SqlTable
from airflow_provider_sfleads.exports.sql_connection import sql_hook
from airflow_provider_sfleads.results.confirmed_values import Confirmation
from airflow_provider_sfleads.results.dialects import dialect_of, table_sql
from airflow_provider_sfleads.results.merging import Own

log = logging.getLogger(__name__)

_BATCH = 10_000


def confirmed_in_table(
    table: SqlTable, operation: str, *, values: bool, interval_end: datetime | None
) -> Iterator[Confirmation]:
    """Yield what the table remembers; a table that is not there yet, or lacks the columns, remembers nothing.

    :param operation: which operator's memory, ``create`` or ``update_stage``.
    :param values: whether the fingerprints are asked for, too.
    :param interval_end: end of the run's data interval; rows of newer intervals are marked.
    :raises WarehouseUnavailableError: the warehouse cannot be read now.
    """
    own, hook = Own.of(operation), sql_hook(table.conn_id)
    dialect, mark = dialect_of(hook.conn_type), str(hook.placeholder)
    key, lead_id, until, prints = map(dialect.identifier, ("key", "salesforce_id", own.until, own.values))
    newer = [] if interval_end is None else [f"{until} > {mark}"]
    wanted = newer + ([f"{prints} IS NOT NULL"] if values else [])
    if not wanted:
        return
    columns = (
        f"{key} AS a, {lead_id} AS b, {prints if values else 'NULL'} AS c, "
        f"{f'CASE WHEN {newer[0]} THEN 1 ELSE 0 END' if newer else '0'} AS d"
    )
    sql = f"SELECT {columns} FROM {table_sql(table.table, dialect)} WHERE {' OR '.join(wanted)}"  # noqa: S608
    moments = [dialect.moment(interval_end)] * 2 * len(newer)
    try:
        with SqlExport(table.conn_id, sql, parameters=moments, fetch_size=_BATCH).open() as stream:
            for row in stream.rows:
                if isinstance(row, dict):
                    name, found, text, is_newer = row.values()
                    yield Confirmation(
                        key=str(name),
                        lead_id=found,
                        values=None if text is None else str(text),
                        is_newer=bool(is_newer),
                    )
    except ExportError as error:
        if error.transient:
            raise
        log.info("Nothing is remembered yet in %r.", table)


def count_newer(table: SqlTable, operation: str, interval_end: datetime) -> int:
    """Count the rows that newer intervals have brought up to date; none where the table is not there yet.

    :param operation: which operator's memory, ``create`` or ``update_stage``.
    :param interval_end: end of the run's data interval.
    :raises WarehouseUnavailableError: the warehouse cannot be read now.
    """
    own, hook = Own.of(operation), sql_hook(table.conn_id)
    dialect = dialect_of(hook.conn_type)
    where = f"{dialect.identifier(own.until)} > {hook.placeholder}"
    sql = f"SELECT COUNT(*) AS n FROM {table_sql(table.table, dialect)} WHERE {where}"  # noqa: S608 - checked names
    try:
        with SqlExport(table.conn_id, sql, parameters=[dialect.moment(interval_end)]).open() as stream:
            return next((int(str(n)) for row in stream.rows if isinstance(row, dict) for n in row.values()), 0)
    except ExportError as error:
        if error.transient:
            raise
        return 0
