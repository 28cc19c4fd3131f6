"""The header line of a CSV file, at its head and again in the middle, where files were joined."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence

from airflow_provider_sfleads.exceptions import ExportError
from airflow_provider_sfleads.exports.csv_records import Record

log = logging.getLogger(__name__)

_MOST_WARNINGS = 20


def header_of(found: Iterator[Record], name: str, delimiter: str) -> tuple[str, ...]:
    """Take the header from the head of a file's records, and return the names in it.

    :raises ExportError: there is none, or it is none.
    """
    record = next((record for record in found if record.problem is not None or not is_blank(record.values)), None)
    if record is None:
        raise ExportError(f"{name} has no header line: it is empty. An export without rows still names its columns.")
    if record.problem is not None:
        raise ExportError(f"{name}, line {record.first_line}: the header cannot be read: {record.problem}.")
    if any("\0" in value for value in record.values):
        raise ExportError(f"{name} holds NUL characters in its header, as UTF-16 files do; save it as UTF-8.")
    names = _names_in(record.values)
    twice = [column for column, count in Counter(names).items() if count > 1]
    if twice:
        raise ExportError(f"{name} has more than one column named {', '.join(map(repr, twice))}; name each once.")
    other = next((mark for mark in ";\t|" if mark in names[0]), None)
    if len(names) == 1 and other is not None and other != delimiter:
        raise ExportError(
            f"{name} seems to have its values between {other!r}; they must be between {delimiter!r} "
            "(tab-separated files end in .tsv)."
        )
    return names


def is_blank(values: list[str]) -> bool:
    """Say whether a record is a blank line; ``[""]`` is not: that is an empty value in quotes."""
    return not values or (len(values) == 1 and values[0] != "" and not values[0].strip())


class HeaderAgain:
    """Finds the header line among the rows of a file; the same line again is passed over, with a warning.

    Letter case does not count: of two systems that export the same table, one may write all names in upper case.

    :param header: the names in the file's header.
    :param name: the file, for messages.
    """

    def __init__(self, header: tuple[str, ...], name: str) -> None:
        self._header = _forms(header)
        self._sorted = sorted(self._header)
        self._name = name
        self._warnings = 0
        #: What a header line begins with, in lower case and less the spaces around it; any other line is a row.
        self.beginnings = frozenset(column.lower() for column in header)
        if any(column == f"column_{number}" for number, column in enumerate(header, start=1)):
            self.beginnings |= {""}

    def is_in(self, values: Sequence[str]) -> bool:
        """Say whether the values of a line are the names of all columns, in any order."""
        return values[0].strip().lower() in self.beginnings and sorted(_forms(_names_in(values))) == self._sorted

    def passed_over(self, record: Record) -> bool:
        """Say whether a record of as many values as there are columns is the header line again.

        :raises ExportError: it has the columns in another order, in which the rows after it would be, too.
        """
        if not self.is_in(record.values):
            return False
        if _forms(_names_in(record.values)) != self._header:
            raise ExportError(
                f"{self._name}, {record.lines}: the header line again, with its columns in another order, as where "
                "files were joined. Give them as files of their own."
            )
        if self._warnings < _MOST_WARNINGS:
            self._warnings += 1
            log.warning(
                "%s, %s: the header line again, as where files were joined; it is passed over.",
                self._name, record.lines,
            )  # fmt: skip
        return True


def _names_in(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(value.strip() or f"column_{number}" for number, value in enumerate(values, start=1))


def _forms(names: Sequence[str]) -> tuple[str, ...]:
    """Bring names into the form in which they are compared; ``Key`` beside ``key`` stay two."""
    lower = tuple(name.lower() for name in names)
    return lower if len(set(lower)) == len(lower) else tuple(names)
