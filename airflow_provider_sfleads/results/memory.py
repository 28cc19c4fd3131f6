"""What earlier runs confirmed: in the table to write back to, or else in a small file beside each run's results."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

from airflow_provider_sfleads.core.outcome import BadRow
from airflow_provider_sfleads.exceptions import ExportError, ResultsError
from airflow_provider_sfleads.exports import SqlExport, SqlTable
from airflow_provider_sfleads.exports.sql_connection import sql_hook
from airflow_provider_sfleads.results.columns import in_schema, sortable
from airflow_provider_sfleads.results.folder import ResultsFolder
from airflow_provider_sfleads.results.lead_states import Own, state_schema
from airflow_provider_sfleads.results.recorded import open_rows, rows_left_alone
from airflow_provider_sfleads.results.warehouse import dialect_of, table_sql

if TYPE_CHECKING:
    import pyarrow as pa

#: Beside the results of an execution: key, lead and fingerprint of each row whose values it confirmed, and when.
CONFIRMED = "confirmed.parquet"
_INTERVAL_END = b"airflow_provider_sfleads.interval_end"
_TEXTS = ("key", "salesforce_id", "values", "finished_at")
_BATCH = 20_000

log = logging.getLogger(__name__)


def has_memory(folder: ResultsFolder) -> bool:
    """Return whether an execution of the task has written down what it confirmed."""
    return bool(_files(folder))


def remember(folder: ResultsFolder, states: Iterable[pa.RecordBatch], interval_end: datetime | None) -> None:
    """Write down what an execution confirmed, once all of its rows are recorded.

    :param states: of its settled rows, in the columns of :func:`~.lead_states.state_schema`.
    :param interval_end: end of its data interval.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    now = datetime.now(UTC)
    end = (interval_end or now).astimezone(UTC).isoformat()
    columns = [*((name, pa.string()) for name in _TEXTS), ("is_current", pa.bool_())]
    schema = pa.schema(columns, metadata={_INTERVAL_END: end})
    with folder.directory.complete(CONFIRMED) as draft, pq.ParquetWriter(draft, schema, compression="zstd") as writer:
        for batch in chain(states, _unconfirmed(folder)):
            known = batch.filter(batch.column("confirmed").is_valid())
            if not known.num_rows:
                continue
            moments = sortable(pc.fill_null(known.column("finished_at"), now))
            values = [known.column(name) for name in ("key", "salesforce_id", "confirmed")]
            writer.write_batch(
                pa.RecordBatch.from_arrays([*values, moments, known.column("is_current")], schema=schema)
            )


def _unconfirmed(folder: ResultsFolder) -> Iterator[pa.RecordBatch]:
    """Yield rows of which nobody knows what their leads hold: where an answer was lost it may be other values."""
    import pyarrow as pa

    for rows in open_rows(folder):
        nothing = {name: pa.repeat(value, len(rows)) for name, value in (("is_current", False), ("confirmed", ""))}
        yield in_schema(rows, state_schema(), **nothing)


def confirmation_schema() -> pa.Schema:
    """Return the columns of what earlier runs left of rows.

    ``key``; ``salesforce_id``, where known; ``values``: fingerprint of the values that Salesforce was known to hold,
    empty where nobody remembers them, null where it is not asked for; ``moment``: when that was confirmed, null where
    it is not known; ``is_newer``: whether that run's interval ended after this one's does.
    """
    import pyarrow as pa

    text, moment = pa.string(), pa.timestamp("us", tz="UTC")
    names = ("key", "salesforce_id", "values")
    return pa.schema([*((name, text) for name in names), ("moment", moment), ("is_newer", pa.bool_())])


def confirmed_in_results(
    folder: ResultsFolder, *, values: bool, interval_end: datetime | None
) -> Iterator[pa.RecordBatch]:
    """Yield what the task's executions in all runs of its Dag confirmed; which of two is the later one, each row tells.

    :param folder: the execution that goes on now.
    :param values: whether the fingerprints are asked for, too.
    :param interval_end: end of the run's data interval; rows of newer intervals are marked.
    :return: batches of :func:`confirmation_schema`.
    :raises ResultsError: where a file cannot be read.
    """
    import pyarrow as pa

    root = folder.of_dag
    for name in _files(folder):
        path = root.file(name)
        if path.rpartition("/")[0] == folder.directory.path:
            continue
        try:
            with root.parquet(name) as file:
                said = (file.schema_arrow.metadata or {}).get(_INTERVAL_END, b"").decode()
                is_newer = bool(said) and interval_end is not None and datetime.fromisoformat(said) > interval_end
                for batch in file.iter_batches(batch_size=_BATCH) if values or is_newer else ():
                    known = batch.rename_columns(["key", "salesforce_id", "values", "moment", "is_newer"])
                    newer = {} if is_newer else {"is_newer": pa.repeat(pa.scalar(value=False), len(batch))}
                    nothing = {} if values else {"values": pa.nulls(len(batch))}
                    yield in_schema(known, confirmation_schema(), **newer, **nothing)
            if is_newer:
                # Those are not in the file: an earlier one holds their values.
                for batch in rows_left_alone(root.child(name.rpartition("/")[0])):
                    newer = pa.repeat(pa.scalar(value=True), len(batch))
                    yield in_schema(batch, confirmation_schema(), is_newer=newer)
        except FileNotFoundError:
            # Somebody tidies up old results.
            continue
        except (ValueError, pa.ArrowException) as error:
            raise ResultsError(f"What an earlier run confirmed, in {path}, cannot be read: {error}") from error


def _files(folder: ResultsFolder) -> list[str]:
    """Return the files of the task's executions in all runs, by their names from the folder of the Dag on."""
    *_, task, index, _ = folder.directory.path.split("/")
    names = (name.split("/") for name in folder.of_dag.below())
    return ["/".join(parts) for parts in names if parts[1:3] == [task, index] and parts[4:] == [CONFIRMED]]


def confirmed_in_table(
    table: SqlTable, operation: str, *, values: bool, interval_end: datetime | None
) -> Iterator[pa.RecordBatch]:
    """Yield what the table remembers; a table that is not there yet, or lacks the columns, remembers nothing.

    :param operation: which operator's memory, ``create`` or ``update_stage``.
    :param values: whether the fingerprints are asked for, too.
    :param interval_end: end of the run's data interval; rows of newer intervals are marked.
    :return: batches of :func:`confirmation_schema`.
    :raises WarehouseUnavailableError: the warehouse cannot be read now.
    """
    import pyarrow as pa

    from airflow_provider_sfleads.exports.record_batches import chunk_rows

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
        with SqlExport(table.conn_id, sql, parameters=moments).open() as stream:
            for chunk in stream.chunks:
                try:
                    yield _from_table(_as_batch(chunk) if isinstance(chunk, list) else chunk)
                except pa.ArrowException:
                    # Somebody's own table may have keys that are no text.
                    yield _from_table(_as_batch(chunk_rows(chunk)))
    except ExportError as error:
        if error.transient:
            raise
        log.info("Nothing is remembered yet in %r.", table)


def _from_table(batch: pa.RecordBatch) -> pa.RecordBatch:
    import pyarrow as pa
    import pyarrow.compute as pc

    known = batch.rename_columns(["key", "salesforce_id", "values", "is_newer"])
    # A few databases have one type for all numbers.
    is_newer = pc.not_equal(known["is_newer"].cast(pa.int64()), 0)
    return in_schema(known, confirmation_schema(), is_newer=is_newer)


def _as_batch(rows: Iterable[Mapping[str, Any] | BadRow]) -> pa.RecordBatch:
    """Return rows of a table whose values are of several types; without those that cannot be read."""
    import pyarrow as pa

    names = "abcd"
    texts = ([None if value is None else str(value) for value in row.values()] for row in rows if isinstance(row, dict))
    found = [dict(zip(names, row, strict=True)) for row in texts]
    return pa.RecordBatch.from_pylist(found, schema=pa.schema([(name, pa.string()) for name in names]))


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
