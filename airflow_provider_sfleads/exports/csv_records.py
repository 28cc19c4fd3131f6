"""CSV by the record, with the standard library's reader: its header, its rows, and what is wrong on which line.

Cheap to import: the web server, which may have no pyarrow, reads rejects with it.
"""

from __future__ import annotations

import csv
import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from airflow_provider_sfleads.core.outcome import BadRow, Row
from airflow_provider_sfleads.exceptions import ExportError
from airflow_provider_sfleads.exports.storage import (
    BYTE_ORDER_MARK,
    MAX_LINE_BYTES,
    ByteStream,
    ReadLine,
    text_lines,
)

log = logging.getLogger(__name__)

_MOST_WARNINGS = 20
_MARKED = "a byte order mark in the middle of the file, as where files were joined"


@dataclass(frozen=True, slots=True)
class Record:
    """One record.

    :param values: its values; of a record with a ``problem``, what a lenient reading makes of it.
    :param first_line: number of its first line.
    :param last_line: number of its last line; values in quotes may hold line breaks.
    :param problem: which rule it breaks.
    """

    values: list[str]
    first_line: int
    last_line: int
    problem: str | None = None

    @property
    def lines(self) -> str:
        """The place, for messages."""
        if self.first_line == self.last_line:
            return f"line {self.first_line}"
        return f"lines {self.first_line} to {self.last_line}"

    @property
    def is_blank(self) -> bool:
        """Whether it is a blank line; ``[""]`` is none: that is an empty value in quotes."""
        values = self.values
        return not self.problem and (not values or (len(values) == 1 and values[0] != "" and not values[0].strip()))


def records(readline: ReadLine, name: str, delimiter: str, *, offset: int = 0, lines: int = 0) -> Iterator[Record]:
    """Yield the records of a file; blank lines are records without values.

    A byte order mark is dropped where a record begins. After the head of a file it is a problem nonetheless: what it
    begins is another file, whose columns nobody knows.

    A record that breaks a rule ends with the line on which it does, and the next one starts afresh after it. No line
    is read before its record is asked for.

    :param offset: bytes of the file that were read before.
    :param lines: lines of the file that were read before.
    :raises ExportError: a quote does not close before the file ends, or before the limit of the ``csv`` module
        (131,072 characters a value, the most a Salesforce field holds), which bounds memory.
    """
    record: list[str] = []
    source = text_lines(readline, name, offset=offset, number=lines)
    reader = csv.reader(_kept(source, record, name), delimiter=delimiter, strict=True)
    last_line = lines
    while True:
        record.clear()
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as problem:
            yield _broken(record, last_line + 1, str(problem), name, delimiter)
        else:
            is_marked = bool(values) and record[0].startswith(BYTE_ORDER_MARK)
            yield Record(values, last_line + 1, last_line + len(record), _MARKED if is_marked else None)
        last_line += len(record)


def _kept(lines: Iterator[str], record: list[str], name: str) -> Iterator[str]:
    """Yield lines, less the byte order mark of the first of a record, and keep those of the record at hand."""
    size = 0
    for line in lines:
        size = size + len(line) if record else len(line)
        if size > MAX_LINE_BYTES and record:
            raise ExportError(f"{name}: a record of more than {MAX_LINE_BYTES:,} characters; a quote is amiss.")
        record.append(line)
        yield line if len(record) > 1 else line.lstrip(BYTE_ORDER_MARK)


def _broken(lines: list[str], first_line: int, problem: str, name: str, delimiter: str) -> Record:
    lines = [lines[0].lstrip(BYTE_ORDER_MARK), *lines[1:]]
    open_since = _open_quote("".join(lines), delimiter)
    if open_since is not None:
        raise ExportError(
            f"{name}: the quote that opens on line {first_line + open_since} never closes, or holds more than "
            f"{csv.field_size_limit():,} characters. Close it, or write quotes inside values twice."
        )
    last_line = first_line + len(lines) - 1
    if "field larger" in problem:
        return Record([], first_line, last_line, f"a value of more than {csv.field_size_limit():,} characters")
    if "new-line" in problem:
        problem = "a carriage return outside quotes"
    else:
        problem = "text after a closing quote; write quotes inside values twice"
    lenient = next(csv.reader([line.replace("\r", "") for line in lines], delimiter=delimiter), [])
    return Record(lenient, first_line, last_line, problem)


def _open_quote(text: str, delimiter: str) -> int | None:
    """Return how many lines stand before the quote that is still open at the end of ``text``, if one is."""
    for value in re.finditer(rf'(?:\A|(?<=[{delimiter}\n]))"(?:[^"]++|"")*+("?)', text):
        if not value[1]:
            return text.count("\n", 0, value.start())
    return None


def header_of(found: Iterator[Record], name: str, delimiter: str) -> tuple[str, ...]:
    """Take the header from the head of a file's records, and return the names in it.

    :raises ExportError: there is none, or it is none.
    """
    record = next((record for record in found if not record.is_blank), None)
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


class RepeatedHeader:
    """Finds the header line among the rows of a file, as where files were joined; it is passed over, with a warning.

    Letter case does not count: of two systems that export the same table, one may write all names in upper case.

    :param header: the names in the file's header.
    :param name: the file, for messages.
    """

    def __init__(self, header: tuple[str, ...], name: str) -> None:
        self._header = _folded(header)
        self._sorted = sorted(self._header)
        self._name = name
        self._warnings = 0
        #: What a header line begins with, in lower case and less the spaces around it; any other line is a row.
        self.beginnings = frozenset(column.lower() for column in header)
        if any(column == f"column_{number}" for number, column in enumerate(header, start=1)):
            self.beginnings |= {""}

    def is_in(self, values: Sequence[str]) -> bool:
        """Say whether the values of a line are the names of all columns, in any order."""
        return values[0].strip().lower() in self.beginnings and sorted(_folded(_names_in(values))) == self._sorted

    def passed_over(self, record: Record) -> bool:
        """Say whether a record of as many values as there are columns is the header line again.

        :raises ExportError: it has the columns in another order, in which the rows after it would be, too.
        """
        if not self.is_in(record.values):
            return False
        if _folded(_names_in(record.values)) != self._header:
            raise ExportError(
                f"{self._name}, {record.lines}: the header line again, with its columns in another order, as where "
                "files were joined. Give them as files of their own."
            )
        if self._warnings < _MOST_WARNINGS:
            self._warnings += 1
            message = "%s, %s: the header line again, as where files were joined; it is passed over."
            log.warning(message, self._name, record.lines)
        return True


def _names_in(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(value.strip() or f"column_{number}" for number, value in enumerate(values, start=1))


def _folded(names: Sequence[str]) -> tuple[str, ...]:
    """Bring names into the form in which they are compared; ``Key`` beside ``key`` stay two."""
    lower = tuple(name.lower() for name in names)
    return lower if len(set(lower)) == len(lower) else tuple(names)


def read_columns(stream: ByteStream, name: str, delimiter: str) -> tuple[str, ...]:
    """Return the names in the header line."""
    return header_of(records(stream.readline, name, delimiter), name, delimiter)


def read_rows(stream: ByteStream, name: str, delimiter: str) -> Iterator[Row | BadRow]:
    """Yield one row a record after the header; blank lines are passed over."""
    found = records(stream.readline, name, delimiter)
    header = header_of(found, name, delimiter)
    yield from rows_of(found, header, header, name)


def rows_of(
    found: Iterator[Record],
    header: tuple[str, ...],
    columns: tuple[str, ...],
    name: str,
    repeated: RepeatedHeader | None = None,
) -> Iterator[Row | BadRow]:
    """Yield one row for each of the records that follow the header.

    :param columns: the file's columns, in the order the rows are to have.
    :param repeated: what knows the header line, where it comes again; given where a file is read in several stretches.
    """
    repeated = repeated or RepeatedHeader(header, name)
    same_order = header == columns
    for record in found:
        is_whole = len(record.values) == len(header)
        if is_whole and repeated.passed_over(record):
            continue
        if is_whole and record.problem is None:
            row = dict(zip(header, record.values, strict=True))
            yield row if same_order else {column: row[column] for column in columns}
        elif not record.is_blank:
            yield _bad_row(record, header, columns, name)


def _bad_row(record: Record, header: tuple[str, ...], columns: tuple[str, ...], name: str) -> BadRow:
    values, last = record.values, len(header) - 1
    problem = record.problem or f"{len(values)} values where the header has {len(header)}"
    if len(values) > len(header):
        values = [*values[:last], ",".join(values[last:])]
    row = dict.fromkeys(columns, "") | dict(zip(header, values, strict=False))
    return BadRow(values=row, code="MALFORMED_ROW", message=f"{name}, {record.lines}: {problem}.")


def quoted(value: str) -> str:
    """Return ``value`` as a CSV cell that any reader gives back unchanged, also first in its line (U+FEFF)."""
    if not any(mark in value for mark in ',"\r\n\ufeff') and value == value.strip():
        return value
    return '"' + value.replace('"', '""') + '"'
