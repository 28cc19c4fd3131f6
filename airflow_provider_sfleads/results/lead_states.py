"""The states of leads, as a run tells them and as the table of ``write_back`` holds them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import pyarrow as pa

#: What both operators write, in the order of the table's columns.
SHARED = ("key", "salesforce_id", "action", "stage", "synced_at", "interval_end", "moved_at", "stage_seen_until")
TIMES = frozenset({"synced_at", "interval_end", "moved_at", "stage_seen_until", "created_until", "stage_until"})
ALWAYS_THERE = frozenset({"key", "salesforce_id", "action", "stage", "synced_at"})
#: Before the fingerprint of a row of whose lead nothing but that it is there was confirmed.
EXISTS = "exists "


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


def table_schema(names: Iterable[str]) -> pa.Schema:
    """Return the Arrow schema of some columns of the table, and of ``seq``, which numbers staged rows."""
    import pyarrow as pa

    kinds = {"seq": pa.int64(), **dict.fromkeys(TIMES, state_schema().field("finished_at").type)}
    return pa.schema([pa.field(name, kinds.get(name, pa.string()), nullable=name != "key") for name in names])
