"""Writes each lead's Salesforce id and stage back to the warehouse."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, ClassVar, TypeVar

from airflow_provider_sfleads.exceptions import SalesforceLeadsError, WriteBackError
from airflow_provider_sfleads.exports.sql_connection import SqlTable, driver_message, sql_hook
from airflow_provider_sfleads.results.warehouse import Warehouse, dialect_of, table_sql, warehouse_of

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)
T = TypeVar("T")

#: What both operators write, in the order of the table's columns.
SHARED = ("key", "salesforce_id", "action", "stage", "synced_at", "interval_end", "moved_at", "stage_seen_until")
TIMES = frozenset({"synced_at", "interval_end", "moved_at", "stage_seen_until", "created_until", "stage_until"})
_ALWAYS_THERE = frozenset({"key", "salesforce_id", "action", "stage", "synced_at"})
_BATCH = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """The columns of one operator.

    :param until: end of the newest interval that it brought the lead up to; of a staged row, ``None`` where it only
        looked at the lead and left it.
    :param values: fingerprint of the values that it last confirmed.
    """

    until: str
    values: str

    ALL: ClassVar[tuple[str, ...]] = ("created_until", "created_values", "stage_until", "stage_values")

    @classmethod
    def of(cls, operation: str) -> Own:
        """Return the columns of an operator, by what it calls its operation."""
        name = {"create": "created", "update_stage": "stage"}[operation]
        return cls(until=f"{name}_until", values=f"{name}_values")


def merged_sql(columns: Mapping[str, str], own: Own, *, table: str, staged: str, merged: str, seq: str) -> str:
    """Return the statement that joins staged rows with what the table holds, by set and not row by row.

    Two runs of different intervals give the same row in whichever order they write. What the last run did goes by the
    interval, the stage by the interval of whoever saw one, and what only one operator knows by that operator's: the
    newest day of the other says nothing of it. Of two syncs that moved the lead to the stage that counts, the later
    one is the one that last did; of another stage's, none. Only fingerprints tell the order: where an older run
    confirmed something else after a newer one had written, nobody knows which of them Salesforce holds.

    :param columns: the table's columns as SQL, by name.
    :param own: the columns of the operator that writes.
    :param table: the table.
    :param staged: the rows to write, in the same columns and in the order of ``seq``.
    :param merged: takes the rows as they shall be; those that would not change are left out.
    :param seq: numbers the staged rows.
    """
    row = _Row(columns, own)
    named = ", ".join(f"{value} AS {columns[name]}" for name, value in row.values().items())
    key, end, names = columns["key"], columns["interval_end"], ", ".join(columns.values())
    # Of a lead that was deleted and created anew, nothing is so that was so of the old one.
    same_lead = f"CASE WHEN {row.is_made_anew('s', 't')} THEN 0 ELSE 1 END = 1"
    return (
        f"INSERT INTO {merged} ({names}) SELECT {names} FROM (SELECT {named}, "  # noqa: S608  (checked names)
        f"CASE WHEN {row.stays()} THEN 1 ELSE 0 END AS stays, "
        f"ROW_NUMBER() OVER (PARTITION BY s.{key} ORDER BY s.{seq} DESC, t.{end} DESC) AS place "
        f"FROM {staged} s LEFT JOIN {table} t ON t.{key} = s.{key} AND {same_lead}) x WHERE place = 1 AND stays = 0"
    )


@dataclass(frozen=True, slots=True)
class _Row:
    """The staged row ``s`` and the table's row ``t`` of one key, as SQL."""

    columns: Mapping[str, str]
    own: Own

    def s(self, name: str) -> str:
        return f"s.{self.columns[name]}"

    def t(self, name: str) -> str:
        return f"t.{self.columns[name]}"

    def is_made_anew(self, one: str, other: str) -> str:
        """Return whether one row tells of a lead that was created after what the other one tells of another lead."""
        action, lead_id, synced = (self.columns[name] for name in ("action", "salesforce_id", "synced_at"))
        # Of one moment the row that comes last counts.
        later = f"COALESCE(t.{synced}, s.{synced}) <= s.{synced}" if one == "s" else f"t.{synced} > s.{synced}"
        return f"{one}.{action} = 'created' AND {one}.{lead_id} <> {other}.{lead_id} AND {later}"

    def is_older(self, until: str = "interval_end") -> str:
        """Return whether a newer interval wrote the table's row."""
        return f"{self.t(until)} > {self.s('interval_end')}"

    def is_stage_older(self) -> str:
        """Return whether a newer interval saw the stage that the table's row holds."""
        # Nobody noted that in a table of an earlier version.
        known = f"COALESCE({self.t('stage_seen_until')}, {self.t(self.own.until)})"
        return f"{self.t('stage')} IS NOT NULL AND {known} > {self.s('interval_end')}"

    def values(self) -> dict[str, str]:
        """Return what becomes of each column."""
        theirs = {name: self.t(name) for name in self.columns if name in Own.ALL}
        shared = {name: _chosen(self.is_older(), self.t(name), self.s(name)) for name in SHARED}
        until, stage = self.own.until, self.is_stage_older()
        special = {
            "key": self.s("key"),
            "salesforce_id": self._kept("salesforce_id", self.is_older()),
            "stage": self._kept("stage", stage),
            "stage_seen_until": self._kept("stage_seen_until", stage),
            "moved_at": _chosen(self.is_moved_later(), self.s("moved_at"), self.t("moved_at")),
            until: self._kept(until, self.is_older(until)),
        }
        values = {self.own.values: self._confirmed()} if self.own.values in self.columns else {}
        return shared | theirs | special | values

    def is_moved_later(self) -> str:
        """Return whether the staged row tells of the last time that a sync moved the lead to the stage that counts."""
        ours, theirs = self.s("moved_at"), self.t("moved_at")
        stage, new_stage = self.t("stage"), self.s("stage")
        replaces = f"{stage} <> {new_stage} AND {_chosen(self.is_stage_older(), '1', '0')} = 0"
        later = f"({stage} = {new_stage} AND {ours} > {theirs}) OR ({replaces})"
        return f"{ours} IS NOT NULL AND ({theirs} IS NULL OR {later})"

    def stays(self) -> str:
        """Return whether the table's row is not to change."""
        stays = [
            self.is_older(),
            self.is_older(self.own.until),
            f"({self.s('salesforce_id')} IS NULL OR {self.t('salesforce_id')} IS NOT NULL)",
            f"({self.s('stage')} IS NULL OR ({self.is_stage_older()}))",
            f"{_chosen(self.is_moved_later(), '1', '0')} = 0",
        ]
        if self.own.values in self.columns:
            stays.append(self._agrees())
        return f"({' AND '.join(stays)}) OR ({self.is_made_anew('t', 's')})"

    def _kept(self, name: str, is_older: str) -> str:
        ours, theirs = self.s(name), self.t(name)
        return _chosen(is_older, f"COALESCE({theirs}, {ours})", f"COALESCE({ours}, {theirs})")

    def _agrees(self) -> str:
        """Return whether an older run confirmed nothing else.

        One that came after the newer one, and saw it, left the row.
        """
        ours, theirs = self.s(self.own.values), self.t(self.own.values)
        return f"({ours} IS NULL OR {ours} = {theirs} OR {theirs} = '')"

    def _confirmed(self) -> str:
        """Return the fingerprint to keep.

        An empty one where runs overlapped and nobody knows which of them wrote last.
        """
        ours, theirs = self.s(self.own.values), self.t(self.own.values)
        older = _chosen(self._agrees(), theirs, "''")
        return _chosen(self.is_older(self.own.until), older, f"COALESCE({ours}, {theirs})")


def _chosen(condition: str, then: str, otherwise: str) -> str:
    return f"CASE WHEN {condition} THEN {then} ELSE {otherwise} END"


def state_schema() -> pa.Schema:
    """Return the columns of what is written back: the states of leads, a row each.

    ``key`` in the warehouse. ``salesforce_id`` and ``stage``; a null keeps what the table has. ``action``: ``created``,
    ``updated`` or ``unchanged``. ``finished_at``: when that was so. ``is_moved``: whether the lead was moved to its
    stage then. ``is_current``: whether it is what the run would have it be, and not only left alone. ``confirmed``:
    fingerprint of the values that Salesforce now holds of the row; a null keeps the one there, and an empty one stands
    for values that nobody remembers.
    """
    import pyarrow as pa

    text, yes = pa.string(), pa.bool_()
    return pa.schema(
        {
            "key": text,
            "salesforce_id": text,
            "action": text,
            "stage": text,
            "finished_at": pa.timestamp("us", tz="UTC"),
            "is_moved": yes,
            "is_current": yes,
            "confirmed": text,
        }
    )


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


def forget(table: SqlTable, operation: str, keys: Iterable[str]) -> None:
    """Forget what was confirmed of leads that may hold other values by now, and nobody knows which.

    :param operation: which operator's memory, ``create`` or ``update_stage``.
    :raises WriteBackError: the database refuses.
    """
    failed = "was not written back to; what is not sent is still remembered there"
    with _transaction(table, failed=failed) as (warehouse, name):
        own = Own.of(operation)
        columns = _make_ready(warehouse, name, own, remembers=False)
        if own.values in columns:
            key, values = columns["key"], columns[own.values]
            staged = _staged(warehouse, "forgotten", _definitions(warehouse, ["key"]), _key_batches(_readable(keys)))
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

    They are staged in a temporary table batch by batch, so memory stays bounded. Writing the same ones again changes
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
        definitions, seq = _definitions(warehouse, columns), warehouse.dialect.identifier("seq")
        cells = _cells(states, own, tuple(columns), end=interval_end or moment, moment=moment)
        staged = _staged(warehouse, "staged", [*definitions, f"{seq} BIGINT"], cells)
        merged = warehouse.temporary("merged", definitions)
        warehouse.execute(merged_sql(columns, own, table=name, staged=staged, merged=merged, seq=seq))
        for sql in _replacing(columns, table=name, merged=merged, updates=warehouse.dialect.updates_from):
            warehouse.execute(sql)
        return warehouse.count(merged)


def _replacing(columns: Mapping[str, str], *, table: str, merged: str, updates: bool) -> tuple[str, ...]:
    """Return the statements that put merged rows in place of those of their keys.

    MERGE and upsert are spelled differently everywhere, and need a unique key, which a table that people made may lack.

    :param updates: whether the database knows ``UPDATE ... FROM``: to delete and insert rows changes each index, too.
    """
    key, names = columns["key"], ", ".join(columns.values())
    if not updates:
        return (
            f"DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {merged})",  # noqa: S608  (checked names)
            f"INSERT INTO {table} ({names}) SELECT {names} FROM {merged}",  # noqa: S608
        )
    values = ", ".join(f"{column} = m.{column}" for column in columns.values() if column != key)
    lead_id, both = columns["salesforce_id"], f"{table} AS t JOIN {merged} AS m ON t.{key} = m.{key}"
    repeated = f"SELECT t.{key} FROM {both} GROUP BY t.{key} HAVING COUNT(*) > 1"  # noqa: S608
    # Where people have made ids unique, one that goes from key to key must not be there twice for a moment.
    moved = f"SELECT t.{key} FROM {both} WHERE t.{lead_id} <> m.{lead_id}"  # noqa: S608
    there = f"SELECT 1 FROM {table} AS t WHERE t.{key} = m.{key}"  # noqa: S608
    return (
        f"DELETE FROM {table} WHERE {key} IN ({repeated}) OR {key} IN ({moved})",  # noqa: S608
        f"UPDATE {table} AS t SET {values} FROM {merged} AS m WHERE t.{key} = m.{key}",  # noqa: S608
        f"INSERT INTO {table} ({names}) SELECT {names} FROM {merged} AS m WHERE NOT EXISTS ({there})",  # noqa: S608
    )


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
        definitions = ", ".join([*_definitions(warehouse, wanted), f"PRIMARY KEY ({identifier('key')})"])
        warehouse.execute(f"CREATE TABLE IF NOT EXISTS {table} ({definitions})")
        found = warehouse.columns(table)
    missing = [name for name in wanted if name not in found]
    if not _ALWAYS_THERE.isdisjoint(missing):
        raise WriteBackError(
            f"The table to write back to, {table}, lacks {', '.join(missing)}. It needs the columns "
            f"{', '.join(sorted(_ALWAYS_THERE))}; name another table and it is made."
        )
    for definition in _definitions(warehouse, missing):
        warehouse.execute(f"ALTER TABLE {table} ADD COLUMN {definition}")
    # A row may be deleted and inserted anew: what the other operator knows of it has to come along.
    others = [name for name in Own.ALL if name in found and name not in wanted]
    return {name: identifier(name) for name in (*wanted, *others)}


def _definitions(warehouse: Warehouse, names: Iterable[str]) -> list[str]:
    dialect = warehouse.dialect
    kinds = {name: dialect.time if name in TIMES else dialect.text for name in names}
    return [f"{dialect.identifier(name)} {kind}{' NOT NULL' * (name == 'key')}" for name, kind in kinds.items()]


def _staged(warehouse: Warehouse, purpose: str, definitions: Sequence[str], rows: Iterable[pa.RecordBatch]) -> str:
    """Make a temporary table of some rows, and return its name."""
    name = warehouse.temporary(purpose, definitions)
    for batch in rows:
        warehouse.append(name, batch)
    return name


def _key_batches(keys: Iterable[str]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    source = iter(keys)
    while some := list(islice(source, _BATCH)):
        yield pa.record_batch([pa.array(some, pa.string())], names=["key"])


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

    time = state_schema().field("finished_at").type
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
        others = {name: pa.nulls(batch.num_rows, time if name in TIMES else pa.string()) for name in names}
        numbers = pa.array(range(number, number + batch.num_rows), pa.int64())
        number += batch.num_rows
        columns = [(others | cells)[name] for name in names]
        yield pa.RecordBatch.from_arrays([*columns, numbers], names=[*names, "seq"])


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
