"""Uploaded CSV files: what is in them, in blocks that end with a record, without holding a file in memory."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

DELIMITERS = {"BACKQUOTE": "`", "CARET": "^", "COMMA": ",", "PIPE": "|", "SEMICOLON": ";", "TAB": "\t"}
ENDINGS = {"LF": "\n", "CRLF": "\r\n"}

_PIECE = 1 << 20
_BOM = b"\xef\xbb\xbf"
_LONGEST_HEADER = 32_000
_BARE_LF = re.compile(rb"(?<!\r)\n")
_BARE_CR = re.compile(rb"\r(?!\n)")
# A byte that no UTF-8 text holds: takes the place of a line break inside quotes while records are told apart.
_BREAK = b"\xff"
_UNESCAPED = "InvalidBatch : Failed to parse CSV. Found unescaped quote. A value with quote should be within a quote"


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a job's files are written, in the words of the job."""

    delimiter: str = "COMMA"
    ending: str = "LF"

    @property
    def separator(self) -> str:
        """The character between two cells."""
        return DELIMITERS[self.delimiter]

    @property
    def line_end(self) -> str:
        """What ends a record."""
        return ENDINGS[self.ending]

    def header(self, own: Sequence[str], uploaded: str) -> str:
        """Return the header of a result: Salesforce's own columns in quotes, the others as they were uploaded."""
        return self.separator.join([*(f'"{name}"' for name in own), uploaded]) + self.line_end

    def line(self, cells: Iterator[str] | list[str]) -> str:
        """Return one record as Salesforce writes it: every cell in quotes."""
        inside = self.separator.join('"' + cell.replace('"', '""') + '"' for cell in cells)
        return inside + self.line_end


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A stretch of a file that begins and ends with a record: `first` is the number of its first one, from 0."""

    start: int
    size: int
    first: int
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a file holds; `problem` is the `errorMessage` of a job whose file cannot be read."""

    columns: tuple[str, ...] = ()
    body: int = 0
    rows: int = 0
    blocks: tuple[Block, ...] = ()
    problem: str | None = None


def inspect(path: Path, form: Form, *, strict: bool = True) -> Content:
    """Read a file once: its header, its records by block, and what is wrong with it.

    `strict` False leaves out the check of each quote, which takes longer than all the rest.
    """
    with path.open("rb") as file:
        # A header that is too long is told by its first characters.
        header = file.readline(_LONGEST_HEADER * 4)
    problem = _header_problem(header, form)
    if problem is not None:
        return Content(problem=problem)
    found = []
    for block, data in _walk(path, len(header)):
        problem = _problem(data, form, strict=strict)
        if problem is not None:
            return Content(problem=problem)
        found.append(block)
    columns = next(csv.reader([header.decode("utf-8", "replace")], delimiter=form.separator), [])
    rows = sum(block.rows for block in found)
    return Content(columns=tuple(columns), body=len(header), rows=rows, blocks=tuple(found))


def header(path: Path, content: Content) -> str:
    """Return the header as it was uploaded, without its line end."""
    with path.open("rb") as file:
        return file.read(content.body).decode("utf-8", "replace").rstrip("\r\n")


def _header_problem(header: bytes, form: Form) -> str | None:
    if not header.strip(b"\r\n"):
        return "InvalidBatch : Failed to parse CSV. The file holds no header"
    if len(header.decode("utf-8", "replace")) > _LONGEST_HEADER:
        return f"InvalidBatch : The header is longer than {_LONGEST_HEADER} characters"
    return _UNESCAPED if header.startswith(_BOM + b'"') else _problem(header, form, strict=True)


def _problem(data: bytes, form: Form, *, strict: bool) -> str | None:
    if not _ends_well(data, form):
        return f"ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is {form.ending}"
    if strict and b'"' in data and not _quoted_well(data, form):
        return _UNESCAPED
    return None


def _ends_well(data: bytes, form: Form) -> bool:
    if form.ending == "LF":
        return b"\r" not in data
    return not _BARE_LF.search(data) and not _BARE_CR.search(data)


def _quoted_well(data: bytes, form: Form) -> bool:
    """Return whether each quoted cell begins after a separator and ends before one."""
    outside = data.split(b'"')[::2]
    edges = (form.separator.encode(), b"\n", b"\r")
    opens = all(not part or part.endswith(edges) for part in outside[:-1])
    return opens and all(not part or part.startswith(edges) for part in outside[1:])


def index(path: Path, start: int = 0) -> list[Block]:
    """Return the blocks of a file whose records begin at `start`."""
    return [block for block, _ in _walk(path, start)]


def _walk(path: Path, start: int) -> Iterator[tuple[Block, bytes]]:
    at, first, rest = start, 0, b""
    with path.open("rb") as file:
        file.seek(start)
        while piece := file.read(_PIECE):
            data = rest + piece
            end, rows = _whole(data)
            if end:
                yield Block(start=at, size=end, first=first, rows=rows), data[:end]
                at, first = at + end, first + rows
            rest = data[end:]
    if rest:
        yield Block(start=at, size=len(rest), first=first, rows=1), rest


def _whole(data: bytes) -> tuple[int, int]:
    """Return where the last whole record ends, and how many records there are up to there."""
    if b'"' not in data:
        return data.rfind(b"\n") + 1, data.count(b"\n")
    parts = data.split(b'"')
    rows = b"".join(parts[::2]).count(b"\n")
    end = len(data)
    for position in range(len(parts) - 1, -1, -1):
        begin = end - len(parts[position])
        if position % 2 == 0:
            found = data.rfind(b"\n", begin, end)
            if found >= 0:
                return found + 1, rows
        end = begin - 1
    return 0, 0


def stretch(path: Path, blocks: Sequence[Block], start: int, count: int) -> list[Block]:
    """Return the blocks of `count` records from number `start` on. A block's bytes may reach beyond its `rows`."""
    found = []
    for block in blocks:
        skip, end = max(0, start - block.first), min(block.rows, start + count - block.first)
        if skip >= end:
            continue
        gone = sum(map(len, records(read(path, block))[:skip])) if skip else 0
        found.append(Block(start=block.start + gone, size=block.size - gone, first=block.first + skip, rows=end - skip))
    return found


def read(path: Path, block: Block) -> bytes:
    """Return the bytes of a block."""
    with path.open("rb") as file:
        file.seek(block.start)
        return file.read(block.size)


def records(data: bytes) -> list[bytes]:
    """Return the records of a block, each with its line end (the last may lack one)."""
    if b'"' in data:
        parts = data.split(b'"')
        if b"\n" in b"".join(parts[1::2]):
            parts[1::2] = [part.replace(b"\n", _BREAK) for part in parts[1::2]]
            return [line.replace(_BREAK, b"\n") for line in _cut(b'"'.join(parts))]
    return _cut(data)


def _cut(data: bytes) -> list[bytes]:
    if b"\r" not in data:
        return data.splitlines(keepends=True)
    lines = [line + b"\n" for line in data.split(b"\n")]
    last = lines.pop()[:-1]
    if last:
        lines.append(last)
    return lines


def cells(path: Path, content: Content, form: Form, skip: int = 0) -> Iterator[list[str]]:
    """Yield the cells of each record after the first `skip`, as text; empty lines are left out."""
    with path.open("rb") as raw:
        raw.seek(content.body)
        text = io.TextIOWrapper(raw, encoding="utf-8", errors="replace", newline="")
        reader = (row for row in csv.reader(text, delimiter=form.separator) if row)
        for _ in range(skip):
            next(reader, None)
        yield from reader
