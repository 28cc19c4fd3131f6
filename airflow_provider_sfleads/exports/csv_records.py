"""Records of a CSV file: values, or what is wrong, and the lines they stand on."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass

from airflow_provider_sfleads.exceptions import ExportError
from airflow_provider_sfleads.exports.streams import BYTE_ORDER_MARK, MAX_LINE_BYTES, LineSource, text_lines

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


class _Lines:
    """The lines of one file, remembering those of the record at hand."""

    def __init__(self, lines: Iterator[str], name: str) -> None:
        self._lines = lines
        self._name = name
        self._size = 0
        self.current: list[str] = []
        #: Whether a byte order mark stood before the record at hand.
        self.is_marked = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        if not self.current and line.startswith(BYTE_ORDER_MARK):
            line = line.lstrip(BYTE_ORDER_MARK)
            self.is_marked = True
        self._size += len(line)
        if self._size > MAX_LINE_BYTES and self.current:
            raise ExportError(f"{self._name}: a record of more than {MAX_LINE_BYTES:,} characters; a quote is amiss.")
        self.current.append(line)
        return line

    def begin_record(self) -> None:
        self.current.clear()
        self.is_marked = False
        self._size = 0


def records(stream: LineSource, name: str, delimiter: str, *, offset: int = 0, lines: int = 0) -> Iterator[Record]:
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
    source = _Lines(text_lines(stream, name, offset=offset, number=lines), name)
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    last_line = lines
    while True:
        source.begin_record()
        first_line = last_line + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as problem:
            last_line = first_line + len(source.current) - 1
            yield _broken(source.current, first_line, str(problem), name, delimiter)
            continue
        last_line = lines + reader.line_num
        yield Record(values, first_line, last_line, _MARKED if source.is_marked and values else None)


def _broken(lines: list[str], first_line: int, problem: str, name: str, delimiter: str) -> Record:
    open_since = _open_quote(lines, delimiter)
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


def _open_quote(lines: list[str], delimiter: str) -> int | None:
    """Return the index of the line with the quote that is still open at the end of ``lines``, if one is."""
    opened: int | None = None
    at_start = True
    for index, line in enumerate(lines):
        previous = ""
        for character in line:
            if opened is not None:
                if character == '"':
                    opened = None
            elif character == '"' and (at_start or previous == '"'):
                opened = index
            at_start = opened is None and character in (delimiter, "\n")
            previous = character
    return opened
