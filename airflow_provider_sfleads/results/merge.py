"""Merges rows into the table of ``write_back``: what its rows become, as SQL, by set and not row by row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_sfleads.core.outcome import Action
from airflow_provider_sfleads.results.lead_states import SHARED, Own, table_schema
from airflow_provider_sfleads.results.warehouse import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

# What is written of a lead that was left as it is, and the table holds.
_TOUCHED = ("action", "synced_at", "interval_end")


@dataclass(frozen=True, slots=True)
class Merge:
    """Writes rows into the table.

    :param warehouse: a transaction.
    :param table: the table, as SQL.
    :param columns: its columns as SQL, by name.
    :param own: the columns of the operator that writes.
    """

    warehouse: Warehouse
    table: str
    columns: Mapping[str, str]
    own: Own

    def write(self, batches: Iterable[pa.RecordBatch]) -> int:
        """Merge rows, and return how many of the table were replaced or added.

        :param batches: in the table's columns and ``seq``, which numbers them.
        """
        import pyarrow.compute as pc

        warehouse, updates = self.warehouse, self.warehouse.dialect.updates_from
        seq, few = warehouse.dialect.identifier("seq"), (*_TOUCHED, self.own.until, "salesforce_id", "key", "seq")
        staged = rows = warehouse.temporary("staged", table_schema([*self.columns, "seq"]))
        touched = warehouse.temporary("touched", table_schema(few)) if updates else None
        count = 0
        for batch in batches:
            is_left = self._is_left(batch)
            if touched is None or not is_left.true_count:
                warehouse.append(staged, batch)
                continue
            count += is_left.true_count
            warehouse.append(touched, batch.filter(is_left).select(few))
            if is_left.false_count:
                warehouse.append(staged, batch.filter(pc.invert(is_left)))
        written = 0
        if touched is not None and count:
            apart, _ = warehouse.filled("apart", table_schema(["key"]), self._keys_apart(staged, touched))
            written = warehouse.execute(self._touching(touched, apart))
            rows = self._with_unknown(staged, touched, apart, few)
        sql = merged_sql(self.columns, self.own, table=self.table, staged=rows, seq=seq)
        merged, count = warehouse.filled("merged", table_schema(self.columns), sql)
        for sql in _replacing(self.columns, table=self.table, merged=merged, updates=updates) if count else ():
            warehouse.execute(sql)
        return written + count

    def _is_left(self, batch: pa.RecordBatch) -> pa.Array:
        """Return which rows tell no more of a lead than that it was left as it is."""
        import pyarrow.compute as pc

        found = pc.equal(batch.column("action"), str(Action.UNCHANGED))
        told = [name for name in ("stage", "moved_at", self.own.values) if name in self.columns]
        for name in told:
            found = pc.and_(found, batch.column(name).is_null())
        return found

    def _keys_apart(self, staged: str, touched: str) -> str:
        """Return the query for the keys that are merged whatever is said of them.

        Those that are staged, too, and those of which the table, or the load, has several rows.
        """
        key = self.columns["key"]
        both = f"{touched} s JOIN {self.table} t ON t.{key} = s.{key}"
        return (
            f"SELECT {key} FROM {staged} "  # noqa: S608  (checked names)
            f"UNION SELECT s.{key} FROM {both} GROUP BY s.{key} HAVING COUNT(*) > 1"
        )

    def _touching(self, touched: str, apart: str) -> str:
        """Return the statement that says of leads which were left as they are when that was."""
        row, key = _Row(self.columns, self.own), self.columns["key"]
        values = row.values()
        changes = ", ".join(f"{self.columns[name]} = {values[name]}" for name in (*_TOUCHED, self.own.until))
        stays = _chosen(f"{row.is_older()} AND {row.is_older(self.own.until)}", "1", "0")
        where = f"t.{key} = s.{key} AND {row.is_same_lead()} AND {stays} = 0"
        rows = f"SELECT s.* FROM {touched} s LEFT JOIN {apart} d ON d.{key} = s.{key} WHERE d.{key} IS NULL"  # noqa: S608
        return f"UPDATE {self.table} AS t SET {changes} FROM ({rows}) AS s WHERE {where}"  # noqa: S608  (checked names)

    def _with_unknown(self, staged: str, touched: str, apart: str, few: Sequence[str]) -> str:
        """Return the staged rows with those of leads which were left as they are and the table does not hold so."""
        row, identifier = _Row(self.columns, self.own), self.warehouse.dialect.identifier
        key, names = self.columns["key"], [*self.columns, "seq"]
        cells = ", ".join(f"s.{identifier(name)}" if name in few else "NULL" for name in names)
        wanted = ", ".join(map(identifier, names))
        return (
            f"(SELECT {wanted} FROM {staged} UNION ALL SELECT {cells} FROM {touched} s "  # noqa: S608  (checked names)
            f"LEFT JOIN {self.table} t ON t.{key} = s.{key} AND {row.is_same_lead()} "
            f"LEFT JOIN {apart} d ON d.{key} = s.{key} "
            f"WHERE t.{key} IS NULL OR d.{key} IS NOT NULL)"
        )


def merged_sql(columns: Mapping[str, str], own: Own, *, table: str, staged: str, seq: str) -> str:
    """Return the query that joins staged rows with what the table holds, by set and not row by row.

    Two runs of different intervals give the same row in whichever order they write. What the last run did goes by the
    interval, the stage by the interval of whoever saw one, and what only one operator knows by that operator's: the
    newest day of the other says nothing of it. Of two syncs that moved the lead to the stage that counts, the later
    one is the one that last did; of another stage's, none. Only fingerprints tell the order: where an older run
    confirmed something else after a newer one had written, nobody knows which of them Salesforce holds.

    It gives the rows as they shall be; those that would not change are left out.

    :param columns: the table's columns as SQL, by name.
    :param table: the table.
    :param staged: the rows to write, in the same columns and in the order of ``seq``.
    :param seq: numbers the staged rows.
    """
    row = _Row(columns, own)
    named = ", ".join(f"{value} AS {columns[name]}" for name, value in row.values().items())
    key, end, names = columns["key"], columns["interval_end"], ", ".join(columns.values())
    # Of a lead that was deleted and created anew, nothing is so that was so of the old one.
    same_lead = f"CASE WHEN {row.is_made_anew('s', 't')} THEN 0 ELSE 1 END = 1"
    return (
        f"SELECT {names} FROM (SELECT {named}, "  # noqa: S608  (checked names)
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

    def is_same_lead(self) -> str:
        """Return whether the staged row names no other lead than the table's."""
        return f"({self.s('salesforce_id')} IS NULL OR {self.t('salesforce_id')} = {self.s('salesforce_id')})"

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
    # Where people have made ids unique, one that goes from key to key must not be there twice for a moment. No other
    # row is deleted: DuckDB takes a minute for a million of them.
    wanted = f"t.{lead_id} IN (SELECT {lead_id} FROM {merged})"  # noqa: S608
    moved = f"SELECT t.{key} FROM {both} WHERE t.{lead_id} <> m.{lead_id} AND {wanted}"  # noqa: S608
    there = f"SELECT 1 FROM {table} AS t WHERE t.{key} = m.{key}"  # noqa: S608
    return (
        f"DELETE FROM {table} WHERE {key} IN ({repeated}) OR {key} IN ({moved})",  # noqa: S608
        f"UPDATE {table} AS t SET {values} FROM {merged} AS m WHERE t.{key} = m.{key}",  # noqa: S608
        f"INSERT INTO {table} ({names}) SELECT {names} FROM {merged} AS m WHERE NOT EXISTS ({there})",  # noqa: S608
    )
