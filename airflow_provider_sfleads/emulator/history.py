"""The history of each lead's fields, in a table of its own."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# Computed from other fields or stamped by the system: their changes are nobody's decision.
UNTRACKED = frozenset(
    {"Id", "Name", "Address", "CreatedDate", "CreatedById", "LastModifiedDate", "LastModifiedById", "SystemModstamp"}
)

TABLE = """
CREATE TABLE IF NOT EXISTS field_history (
    number INTEGER PRIMARY KEY, lead_id TEXT NOT NULL, changes TEXT NOT NULL,
    at TEXT NOT NULL, actor TEXT NOT NULL, request INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS field_history_by_lead ON field_history (lead_id);
"""

# Made once: `json.dumps` with any option makes an encoder a call.
_encode = json.JSONEncoder(separators=(",", ":")).encode
_INSERT = "INSERT INTO field_history (lead_id, changes, at, actor, request) VALUES (?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Who changes records, when, and in which request (0 for people)."""

    at: str
    actor: str
    request: int


def add(db: sqlite3.Connection, changes: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]], change: Change) -> None:
    """Note (record as it was, new values) pairs; what stays the same is no change."""
    rows = []
    for current, values in changes:
        steps = {
            name: [old, new]
            for name, new in values.items()
            if (old := current.get(name)) != new and name not in UNTRACKED
        }
        if steps:
            # One row a record: a row per field would cost a create more than all the rest.
            text = _encode(steps)
            rows.append((current.get("Id") or values["Id"], text, change.at, change.actor, change.request))
    db.executemany(_INSERT, rows)


def read(db: sqlite3.Connection, lead_id: str | None) -> list[dict[str, Any]]:
    """Return each change of each field of a lead (of all leads, for None), in order."""
    if lead_id is None:
        rows = db.execute("SELECT * FROM field_history ORDER BY number")
    else:
        rows = db.execute("SELECT * FROM field_history WHERE lead_id = ? ORDER BY number", [lead_id])
    return [step for row in rows for step in _steps(row)]


def _steps(row: sqlite3.Row) -> Iterator[dict[str, Any]]:
    for name, (old, new) in json.loads(row["changes"]).items():
        yield {
            "lead_id": row["lead_id"],
            "field": name,
            "old": old,
            "new": new,
            "at": row["at"],
            "actor": row["actor"],
            "request": row["request"],
        }
