"""How what a run writes back is merged with what the table to write back to holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

#: What both operators write, in the order of the table's columns.
SHARED = ("key", "salesforce_id", "action", "stage", "synced_at", "interval_end", "moved_at")
TIMES = frozenset({"synced_at", "interval_end", "moved_at", "created_until", "stage_until"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """The columns of one operator.

    :param until: end of the newest interval that it brought the lead up to.
    :param values: fingerprint of the values that it last confirmed.
    """

    until: str
    values: str

    ALL: ClassVar[tuple[str, ...]] = ("created_until", "created_values", "stage_until", "stage_values")

    @classmethod
    def of(cls, operation: str) -> Own:
        """The columns of an operator, by what it calls its operation."""
        name = {"create": "created", "update_stage": "stage"}[operation]
        return cls(until=f"{name}_until", values=f"{name}_values")


def merged_sql(columns: Mapping[str, str], own: Own, *, table: str, staged: str, merged: str, seq: str) -> str:
    """Return the statement that joins staged rows with what the table holds, by set and not row by row.

    A run of an older interval leaves alone what a newer one wrote. What only one operator knows, the stage among it,
    goes by the intervals of that operator: the newest day of the other says nothing of it.

    :param columns: the table's columns as SQL, by name.
    :param own: the columns of the operator that writes.
    :param table: the table.
    :param staged: the rows to write, in the same columns and in the order of ``seq``.
    :param merged: takes the rows as they shall be; those that would not change are left out.
    :param seq: numbers the staged rows.
    """
    key, end = columns["key"], columns["interval_end"]
    values = _values(columns, own)
    named = ", ".join(f"{value} AS {columns[name]}" for name, value in values.items())
    names = ", ".join(columns.values())
    return (
        f"INSERT INTO {merged} ({names}) SELECT {names} FROM (SELECT {named}, "  # noqa: S608  (checked names)
        f"CASE WHEN {_is_older(end)} AND {_is_older(columns[own.until])} THEN 1 ELSE 0 END AS stays, "
        f"ROW_NUMBER() OVER (PARTITION BY s.{key} ORDER BY s.{seq} DESC, t.{end} DESC) AS place "
        f"FROM {staged} s LEFT JOIN {table} t ON t.{key} = s.{key}) x WHERE place = 1 AND stays = 0"
    )


def _is_older(end: str) -> str:
    return f"t.{end} > s.{end}"


def _values(columns: Mapping[str, str], own: Own) -> dict[str, str]:
    """What becomes of each column, from the staged row ``s`` and the table's row ``t``."""
    ours = {name: f"s.{sql}" for name, sql in columns.items()}
    theirs = {name: f"t.{sql}" for name, sql in columns.items()}
    by_any, by_own = _is_older(columns["interval_end"]), _is_older(columns[own.until])

    def kept(name: str, is_older: str) -> str:
        older, newer = f"COALESCE({theirs[name]}, {ours[name]})", f"COALESCE({ours[name]}, {theirs[name]})"
        return f"CASE WHEN {is_older} THEN {older} ELSE {newer} END"

    moved = f"{ours['moved_at']} IS NULL OR {theirs['moved_at']} > {ours['moved_at']}"
    replaced = {name: f"CASE WHEN {by_any} THEN {theirs[name]} ELSE {ours[name]} END" for name in SHARED}
    others = {name: value for name, value in theirs.items() if name in Own.ALL}
    special = {
        "key": ours["key"],
        "salesforce_id": kept("salesforce_id", by_any),
        "stage": kept("stage", by_own),
        "moved_at": f"CASE WHEN {moved} THEN {theirs['moved_at']} ELSE {ours['moved_at']} END",
        own.until: f"CASE WHEN {by_own} THEN {theirs[own.until]} ELSE {ours[own.until]} END",
    }
    values = {own.values: kept(own.values, by_own)} if own.values in columns else {}
    return replaced | others | special | values
