"""The index of key fields: which live record holds which external id, e-mail address, or name."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_provider_sfleads.emulator.fields import ObjectSchema, fold, key_of

# Besides the key fields, what the duplicate rule matches on is looked up through the same index.
NAME_AND_COMPANY = "(LastName, Company)"

TABLE = """
CREATE TABLE IF NOT EXISTS record_key (
    object TEXT NOT NULL, field TEXT NOT NULL, key TEXT NOT NULL, id TEXT NOT NULL,
    PRIMARY KEY (object, field, key, id)) WITHOUT ROWID;
"""

Entry = tuple[str, str, str, str]


def name_and_company(row: Mapping[str, Any]) -> str:
    """Return what the duplicate rule compares besides the e-mail address."""
    return fold(f"{row.get('LastName')}\x1f{row.get('Company')}")


def entries(row: Mapping[str, Any], schema: ObjectSchema) -> Iterator[Entry]:
    """Yield all entries of a record; a deleted one has none."""
    if row.get("IsDeleted"):
        return
    for spec in schema.keyed:
        value = row.get(spec.name)
        if value is not None:
            yield schema.name, spec.name, key_of(spec, value), row["Id"]
    if schema.name == "Lead":
        yield schema.name, NAME_AND_COMPANY, name_and_company(row), row["Id"]


def add(db: sqlite3.Connection, new: Iterable[Entry]) -> None:
    """Add entries."""
    db.executemany("INSERT OR IGNORE INTO record_key VALUES (?, ?, ?, ?)", new)


def move(
    db: sqlite3.Connection, changes: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]], schema: ObjectSchema
) -> None:
    """Follow (record as it was, new values) pairs."""
    names = {"IsDeleted", "LastName", "Company", *(spec.name for spec in schema.keyed)}
    gone: list[Entry] = []
    come: list[Entry] = []
    for current, values in changes:
        if names.isdisjoint(values):
            continue
        old, new = set(entries(current, schema)), set(entries({**current, **values}, schema))
        gone += old - new
        come += new - old
    db.executemany("DELETE FROM record_key WHERE object = ? AND field = ? AND key = ? AND id = ?", gone)
    add(db, come)
