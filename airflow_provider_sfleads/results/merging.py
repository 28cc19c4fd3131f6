"""How what a run writes back is merged with what the table to write back to holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

#: What both operators write, in the order of the table's columns.
SHARED = ("key", "salesforce_id", "action", "stage", "synced_at", "interval_end", "moved_at", "stage_seen_until")
TIMES = frozenset({"synced_at", "interval_end", "moved_at", "stage_seen_until", "created_until", "stage_until"})


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
        """Whether one row tells of a lead that was created after what the other one tells of another lead."""
        action, lead_id, synced = (self.columns[name] for name in ("action", "salesforce_id", "synced_at"))
        # Of one moment the row that comes last counts.
        later = f"COALESCE(t.{synced}, s.{synced}) <= s.{synced}" if one == "s" else f"t.{synced} > s.{synced}"
        return f"{one}.{action} = 'created' AND {one}.{lead_id} <> {other}.{lead_id} AND {later}"

    def is_older(self, until: str = "interval_end") -> str:
        """Whether a newer interval wrote the table's row."""
        return f"{self.t(until)} > {self.s('interval_end')}"

    def is_stage_older(self) -> str:
        """Whether a newer interval saw the stage that the table's row holds."""
        # Nobody noted that in a table of an earlier version.
        known = f"COALESCE({self.t('stage_seen_until')}, {self.t(self.own.until)})"
        return f"{self.t('stage')} IS NOT NULL AND {known} > {self.s('interval_end')}"

    def values(self) -> dict[str, str]:
        """What becomes of each column."""
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
        """Whether the staged row tells of the last time that a sync moved the lead to the stage that counts."""
        ours, theirs = self.s("moved_at"), self.t("moved_at")
        stage, new_stage = self.t("stage"), self.s("stage")
        replaces = f"{stage} <> {new_stage} AND {_chosen(self.is_stage_older(), '1', '0')} = 0"
        later = f"({stage} = {new_stage} AND {ours} > {theirs}) OR ({replaces})"
        return f"{ours} IS NOT NULL AND ({theirs} IS NULL OR {later})"

    def stays(self) -> str:
        """Whether the table's row is not to change."""
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
        """Whether an older run confirmed nothing else; one that came after the newer one, and saw it, left the row."""
        ours, theirs = self.s(self.own.values), self.t(self.own.values)
        return f"({ours} IS NULL OR {ours} = {theirs} OR {theirs} = '')"

    def _confirmed(self) -> str:
        """The fingerprint to keep; an empty one where runs overlapped and nobody knows which of them wrote last."""
        ours, theirs = self.s(self.own.values), self.t(self.own.values)
        older = _chosen(self._agrees(), theirs, "''")
        return _chosen(self.is_older(self.own.until), older, f"COALESCE({ours}, {theirs})")


def _chosen(condition: str, then: str, otherwise: str) -> str:
    return f"CASE WHEN {condition} THEN {then} ELSE {otherwise} END"
