"""What an export yields: rows, and rows that could not be read as such."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """A row that the export could not read; it is counted and becomes a reject.

    :param values: what could be read, by column name.
    :param code: error code for the results, in Salesforce's spelling of codes (``MALFORMED_ROW``).
    :param message: where the row stands and which rule it breaks.
    """

    values: Row
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowStream:
    """An opened export.

    :param columns: column names, in the export's order.
    :param rows: the rows, once, in order; every :data:`Row` has all ``columns``.
    """

    columns: tuple[str, ...]
    rows: Iterator[Row | BadRow] = field(repr=False)
