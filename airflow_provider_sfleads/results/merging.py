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

    :param until: end of the newest interval that it brought the lead up to; of a staged row, ``None`` where it only
        looked at the lead and left it.
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
    key, end, lead_id = columns["key"], columns["interval_end"], columns["salesforce_id"]
    # Of a lead that was deleted and created anew, nothing is so that was so of the old one.
    same_lead = f"CASE WHEN s.{columns['action']} = 'created' AND s.{lead_id} <> t.{lead_id} THEN 0 ELSE 1 END = 1"
    values = _values(columns, own)
    stays = _is_all_older(columns, own)
    if own.values in columns:
        stays = f"{stays} AND {_agrees(columns[own.values])}"
    named = ", ".join(f"{value} AS {columns[name]}" for name, value in values.items())
    names = ", ".join(columns.values())
    return (
        f"INSERT INTO {merged} ({names}) SELECT {names} FROM (SELECT {named}, "  # noqa: S608  (checked names)
        f"CASE WHEN {stays} THEN 1 ELSE 0 END AS stays, "
        f"ROW_NUMBER() OVER (PARTITION BY s.{key} ORDER BY s.{seq} DESC, t.{end} DESC) AS place "
        f"FROM {staged} s LEFT JOIN {table} t ON t.{key} = s.{key} AND {same_lead}) x WHERE place = 1 AND stays = 0"
    )


def _is_older(columns: Mapping[str, str], until: str = "interval_end") -> str:
    return f"t.{columns[until]} > s.{columns['interval_end']}"


def _is_all_older(columns: Mapping[str, str], own: Own) -> str:
    return f"{_is_older(columns)} AND {_is_older(columns, own.until)}"


def _agrees(values: str) -> str:
    """Whether an older run confirmed nothing else; one that came after the newer one, and saw it, has left the row."""
    return f"(s.{values} IS NULL OR s.{values} = t.{values} OR t.{values} = '')"


def _values(columns: Mapping[str, str], own: Own) -> dict[str, str]:
    """What becomes of each column, from the staged row ``s`` and the table's row ``t``."""
    ours = {name: f"s.{sql}" for name, sql in columns.items()}
    theirs = {name: f"t.{sql}" for name, sql in columns.items()}
    by_any, by_own = _is_older(columns), _is_older(columns, own.until)

    def kept(name: str, is_older: str) -> str:
        older, newer = f"COALESCE({theirs[name]}, {ours[name]})", f"COALESCE({ours[name]}, {theirs[name]})"
        return f"CASE WHEN {is_older} THEN {older} ELSE {newer} END"

    moved = (
        f"({_is_all_older(columns, own)}) OR {ours['moved_at']} IS NULL OR {theirs['moved_at']} > {ours['moved_at']}"
    )
    replaced = {name: f"CASE WHEN {by_any} THEN {theirs[name]} ELSE {ours[name]} END" for name in SHARED}
    others = {name: value for name, value in theirs.items() if name in Own.ALL}
    newest = f"COALESCE({ours[own.until]}, {theirs[own.until]})"
    special = {
        "key": ours["key"],
        "salesforce_id": kept("salesforce_id", by_any),
        "stage": kept("stage", by_own),
        "moved_at": f"CASE WHEN {moved} THEN {theirs['moved_at']} ELSE {ours['moved_at']} END",
        own.until: f"CASE WHEN {by_own} THEN {theirs[own.until]} ELSE {newest} END",
    }
    values = {own.values: _confirmed(columns[own.values], by_own)} if own.values in columns else {}
    return replaced | others | special | values


def _confirmed(values: str, is_older: str) -> str:
    """The fingerprint to keep; an empty one where runs overlapped, so that nobody knows which of them wrote last."""
    older = f"CASE WHEN {_agrees(values)} THEN t.{values} ELSE '' END"
    return f"CASE WHEN {is_older} THEN {older} ELSE COALESCE(s.{values}, t.{values}) END"
