"""What an export yields: rows, and rows that could not be read as such."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
