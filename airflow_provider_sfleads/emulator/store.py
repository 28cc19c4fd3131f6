"""The records and the history of their fields, in SQLite; one connection, one writer at a time."""

# ruff: noqa: S608 - names of known tables and fields go into SQL, quoted; values are parameters

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from airflow_provider_sfleads.emulator import history, keys
from airflow_provider_sfleads.emulator.fields import FieldSpec, ObjectSchema, fold
from airflow_provider_sfleads.emulator.history import Change
from airflow_provider_sfleads.emulator.ids import LEAD_PREFIX, make_id, number_of
from airflow_provider_sfleads.emulator.lead_fields import (
    CONTACT_FIELDS,
    CUSTOM_LEAD_FIELDS,
    SETUP_OBJECTS,
    STANDARD_LEAD_FIELDS,
)
from airflow_provider_sfleads.emulator.setup_data import SETUP_ROWS

_JOBS = "CREATE TABLE IF NOT EXISTS bulk_job (id TEXT PRIMARY KEY, job TEXT NOT NULL);"


def quoted(name: str) -> str:
    """Return a column or table name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def _marks(count: int) -> str:
    return ",".join("?" * count)


def _column(spec: FieldSpec) -> str:
    kinds = {"boolean": "INTEGER", "int": "INTEGER", "double": "REAL", "currency": "REAL", "percent": "REAL"}
    return f"{quoted(spec.name)} {kinds.get(spec.type, 'TEXT')}"


class Store:
    """All tables. Use every method inside `transaction()`, which is also the lock."""

    def __init__(self, path: str | None = None) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.create_function("fold", 1, lambda v: None if v is None else fold(v), deterministic=True)
        self._db.execute("PRAGMA journal_mode=WAL")
        # A crash of the whole machine may cost an emulator its last writes.
        self._db.execute("PRAGMA synchronous=OFF")
        self._columns: dict[str, set[str]] = {}
        self.contacts = ObjectSchema("Contact", CONTACT_FIELDS)
        self._create_tables()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside happens at once or, after an exception, not at all."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _create_tables(self) -> None:
        self._db.executescript(keys.TABLE + history.TABLE + _JOBS)
        self.ensure_columns("Lead", (*STANDARD_LEAD_FIELDS, *CUSTOM_LEAD_FIELDS))
        self.ensure_columns("Contact", CONTACT_FIELDS)
        for name, specs in SETUP_OBJECTS.items():
            self.ensure_columns(name, specs)
            for row in SETUP_ROWS[name]:
                columns = ", ".join(quoted(key) for key in row)
                statement = f"INSERT OR REPLACE INTO {quoted(name)} ({columns}) VALUES ({_marks(len(row))})"
                self._db.execute(statement, list(row.values()))

    def ensure_columns(self, name: str, specs: Iterable[FieldSpec]) -> None:
        """Make the object's table, and columns for fields that it has not seen yet."""
        table, specs = quoted(name), list(specs)
        others = "".join(f", {_column(spec)}" for spec in specs if spec.name != "Id")
        with self._lock:
            self._db.execute(f'CREATE TABLE IF NOT EXISTS {table} ("Id" TEXT PRIMARY KEY{others})')
            known = {row["name"] for row in self._db.execute(f"PRAGMA table_info({table})")}
            for spec in specs:
                if spec.name not in known:
                    self._db.execute(f"ALTER TABLE {table} ADD COLUMN {_column(spec)}")
                    known.add(spec.name)

    def clear(self) -> None:
        """Forget all leads, contacts and history."""
        with self.transaction():
            for table in ("Lead", "Contact", "record_key", "field_history"):
                self._db.execute(f"DELETE FROM {quoted(table)}")

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        return self._db.execute(sql, parameters).fetchall()

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement that returns nothing."""
        self._db.execute(sql, parameters)

    def read_named(self, sql: str, parameters: Mapping[str, Any]) -> list[sqlite3.Row]:
        """Return all rows of a query with named parameters."""
        return self._db.execute(sql, parameters).fetchall()

    def new_ids(self, count: int, *, table: str = "Lead", prefix: str = LEAD_PREFIX) -> list[str]:
        """Return ids for the next records: none is ever removed, only marked, so the last id says where to go on."""
        row = self._db.execute(f'SELECT MAX("Id") FROM {quoted(table)}').fetchone()
        first = number_of(row[0]) + 1 if row[0] else 1
        return [make_id(prefix, first + offset) for offset in range(count)]

    def by_ids(
        self, ids: Iterable[str], *, table: str = "Lead", columns: Iterable[str] = ()
    ) -> dict[str, dict[str, Any]]:
        """Return records (or columns of them) by 18-character id, deleted ones included; unknown ids are left out."""
        what = ", ".join(quoted(name) for name in {*columns, "Id", "IsDeleted"}) if columns else "*"
        wanted = list(ids)
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            sql = f'SELECT {what} FROM {quoted(table)} WHERE "Id" IN ({_marks(len(part))})'
            for row in self._db.execute(sql, part):
                found[row["Id"]] = dict(row)
        return found

    def find_keys(self, field: str, keys: Iterable[str], *, table: str = "Lead") -> dict[str, list[str]]:
        """Return ids of the live records per key of a field, oldest first."""
        wanted = list(keys)
        found: dict[str, list[str]] = {}
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            among = f"key IN ({_marks(len(part))})"
            sql = f"SELECT key, id FROM record_key WHERE object = ? AND field = ? AND {among} ORDER BY id"
            for row in self._db.execute(sql, [table, field, *part]):
                found.setdefault(row["key"], []).append(row["id"])
        return found

    def insert(self, rows: Sequence[Mapping[str, Any]], schema: ObjectSchema, change: Change) -> None:
        """Write new leads that have all their fields, system fields included."""
        if not rows:
            return
        names = sorted(set().union(*rows))
        columns = ", ".join(quoted(name) for name in names)
        sql = f"INSERT INTO {quoted(schema.name)} ({columns}) VALUES ({_marks(len(names))})"
        self._db.executemany(sql, [[row.get(name) for name in names] for row in rows])
        keys.add(self._db, [entry for row in rows for entry in keys.entries(row, schema)])
        if schema.name == "Lead":
            history.add(self._db, [({}, row) for row in rows], change)

    def update(
        self,
        changes: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]],
        schema: ObjectSchema,
        change: Change,
    ) -> None:
        """Write (record as it was, new values) pairs."""
        grouped: dict[tuple[str, ...], list[list[Any]]] = {}
        for current, values in changes:
            names = tuple(values)
            grouped.setdefault(names, []).append([*values.values(), current["Id"]])
        for names, parameters in grouped.items():
            sets = ", ".join(f"{quoted(name)} = ?" for name in names)
            self._db.executemany(f'UPDATE {quoted(schema.name)} SET {sets} WHERE "Id" = ?', parameters)
        keys.move(self._db, changes, schema)
        history.add(self._db, changes, change)

    def reindex(self, schema: ObjectSchema) -> None:
        """Build the lead index anew, after the set of key fields has changed."""
        with self.transaction():
            self._db.execute("DELETE FROM record_key WHERE object = ?", [schema.name])
            rows = self._db.execute(f"SELECT * FROM {quoted(schema.name)}").fetchall()
            keys.add(self._db, [entry for row in rows for entry in keys.entries(dict(row), schema)])

    def rename_org(self, kind: str, *, is_sandbox: bool) -> None:
        """Say in Organization what edition it is, and whether it is a sandbox."""
        with self.transaction():
            self._db.execute('UPDATE "Organization" SET OrganizationType = ?, IsSandbox = ?', [kind, int(is_sandbox)])

    def activate_rule(self, rule_id: str, *, active: bool) -> None:
        """Say in AssignmentRule whether the rule is active."""
        with self.transaction():
            self._db.execute('UPDATE "AssignmentRule" SET "Active" = ? WHERE "Id" = ?', [int(active), rule_id])

    def history(self, lead_id: str | None) -> list[dict[str, Any]]:
        """Return each change of each field of a lead (of all leads, for None), in order."""
        return history.read(self._db, lead_id)
