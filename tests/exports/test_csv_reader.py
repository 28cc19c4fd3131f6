# ruff: noqa: TID253 - a test is no Dag file
from __future__ import annotations

import io
import random
from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.core.outcome import BadRow, Row
from airflow_provider_sfleads.exceptions import ExportError
from airflow_provider_sfleads.exports import csv_reader, csv_records
from airflow_provider_sfleads.exports.csv_reader import is_plain
from airflow_provider_sfleads.exports.record_batches import Chunk, chunk_rows

PLAIN = st.sampled_from(
    [b"v", b"", b'""', b'"a"', b'"a,b"', b'"a\nb"', b'"a\r\nb"', b'"a\rb"', b'"say ""x"""', b'""""']
)
ODD = st.lists(
    st.sampled_from([
        b"a", b",", b'"', b'""', b"\n", b"\r\n", b"\r", b" ", b"\t", b"\0", b"\xef\xbb\xbf", b"\xff", b"\xed\xa0\x80",
        "\u2028".encode(), "\x85".encode(), "\U0001f600".encode(), b"\xc0\x80",
    ]),
    max_size=4,
).map(b"".join)  # fmt: skip
HEADERS = st.sampled_from(
    [b"a", b"a,b", b'"a", b', b"\t a,\xc2\xa0b\r", b"b,a", b"\xef\xbb\xbfa", b'\xef\xbb\xbf"a",b', b"A,b"]
)
LINE = st.one_of(st.lists(st.one_of(PLAIN, PLAIN, PLAIN, ODD), max_size=3).map(b",".join), HEADERS)


class Stream(io.RawIOBase):
    """Gives a few bytes at a time, and fails at the end if it is to."""

    def __init__(self, content: bytes, *, fails: bool) -> None:
        self._content = io.BytesIO(content)
        self._step = 7 if len(content) < 10_000 else 65_536
        self._fails = fails

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: object) -> int:
        """Give the next bytes."""
        view = memoryview(buffer)  # type: ignore[arg-type]
        read = self._content.read(min(len(view), self._step))
        if not read and self._fails:
            raise OSError("cut off")
        view[: len(read)] = read
        return len(read)


def by_rows(content: bytes, columns: tuple[str, ...], *, fails: bool = False) -> list[str]:
    """Return what the row reader makes of a file: its rows, and its error last."""
    stream = io.BufferedReader(Stream(content, fails=fails), 16 if len(content) < 10_000 else 65_536)
    return told(_ordered(csv_records.read_rows(stream, "x.csv", ","), columns))


def _ordered(rows: Iterator[Row | BadRow], columns: tuple[str, ...]) -> Iterator[Row | BadRow]:
    """Rows with their values in the order of columns."""
    for row in rows:
        values = row.values if isinstance(row, BadRow) else row
        ordered = {column: values[column] for column in columns}
        yield replace(row, values=ordered) if isinstance(row, BadRow) else ordered


def by_chunks(content: bytes, columns: tuple[str, ...], *, fails: bool = False) -> list[str]:
    """Return what reading in chunks makes of it."""
    stream = io.BufferedReader(Stream(content, fails=fails), 16 if len(content) < 10_000 else 65_536)
    chunks = csv_reader.read_chunks(stream, "x.csv", ",", columns)
    return told(row for chunk in chunks for row in chunk_rows(chunk))


def told(rows: Iterator[Row | BadRow]) -> list[str]:
    """Return rows in words, and the error that ends them."""
    found: list[str] = []
    try:
        found.extend(repr(row) for row in rows)
    except ExportError as problem:
        found.append(str(problem))
    return found


def read(content: bytes) -> list[Chunk]:
    """Return the chunks of a file."""
    columns = csv_records.read_columns(io.BytesIO(content), "x.csv", ",")
    return list(csv_reader.read_chunks(io.BufferedReader(Stream(content, fails=False)), "x.csv", ",", columns))


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(
        [
            (b"a", ("a",)),
            (b"a,b", ("a", "b")),
            (b"a,b", ("b", "a")),
            (b"a,", ("a", "column_2")),
            (b",a", ("column_1", "a")),
        ]
    ),
    st.lists(LINE, max_size=30),
    st.sampled_from([b"\n", b"\r\n"]),
    st.sampled_from([b"", b"\n"]),
    st.booleans(),
    st.sampled_from([(5, 1), (64, 8), (300, 40)]),
)
@example(header=(b"a,b", ("a", "b")), lines=[b"v,v"], end=b"\n", last=b"\n", fails=True, sizes=(5, 1))
def test_chunks_hold_what_the_row_reader_reads(
    header: tuple[bytes, tuple[str, ...]],
    lines: list[bytes],
    end: bytes,
    last: bytes,
    fails: bool,  # noqa: FBT001 - given by position
    sizes: tuple[int, int],
) -> None:
    """The same rows, bad rows and messages, and the same error after the same row, of any bytes."""
    content = end.join([header[0], *lines]) + last
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(csv_reader, "_MAX_BLOCK", sizes[0])
        patched.setattr(csv_reader, "_MIN_BLOCK", sizes[1])
        assert by_chunks(content, header[1], fails=fails) == by_rows(content, header[1], fails=fails)


@pytest.mark.parametrize(
    "block",
    [
        b"\xef\xbb\xbfa,b\n",  # pyarrow drops it
        b"a,b\rc,d\n",  # pyarrow takes it for a line end
        b'"a","b"\r"c","d"\n',
        b'"a"x,b\n',
        b'a"b",c\n',
        b'"a" "b",c\n',
        b'5" disk,c\n',
        b"a,\0\n",
    ],
)
def test_what_pyarrow_might_read_otherwise_is_left_to_the_row_reader(block: bytes) -> None:
    """Each of these rules has its own case, and what the row reader makes of it is what comes."""
    assert not is_plain(block, ",")
    content = b"id,n\n" + block
    assert by_chunks(content, ("id", "n")) == by_rows(content, ("id", "n"))


@pytest.mark.parametrize("block", [b"a\n  \nb\n", b"a\n\xc2\xa0\nb\n", b"\xef\xbb\xbfa\n", b"a\n\nb\r\n\r\n\t\n"])
def test_a_line_of_spaces_is_a_row_of_a_one_column_file(block: bytes) -> None:
    """A value that is blank, which the mapping judges; an empty line is no row."""
    assert by_chunks(b"id\n" + block, ("id",)) == by_rows(b"id\n" + block, ("id",))


@pytest.mark.parametrize("block", [b"", b"a,b", b'"",""""\r\n', b'"a,\r\n""","b\r"', b'\n\r\na,"b"\n', b'"a",\n,"b"\n'])
def test_plain_quoting_is_left_to_pyarrow(block: bytes) -> None:
    """Doubled quotes, separators and line ends inside quotes, blank lines."""
    assert is_plain(block, ",")
    content = b"id,n\n" + block
    assert by_chunks(content, ("id", "n")) == by_rows(content, ("id", "n"))


@pytest.mark.parametrize("quote", [b"", b'"'])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_plain_file_comes_in_columns_of_text(quote: bytes, end: bytes) -> None:
    """With quotes or without, LF or CRLF; an empty cell is an empty text and no null."""
    lines = [quote + b"%d" % number + quote + b"," + quote + b"x" * (number % 9) + quote for number in range(40_000)]
    chunks = read(end.join([b"id,text", *lines, b""]))
    schema = pa.schema([("id", pa.string()), ("text", pa.string())])
    assert all(isinstance(chunk, pa.RecordBatch) and chunk.schema == schema for chunk in chunks)
    assert max(len(chunk) for chunk in chunks) <= 20_000
    assert [row for chunk in chunks for row in chunk_rows(chunk)] == [
        {"id": str(number), "text": "x" * (number % 9)} for number in range(40_000)
    ]


@pytest.mark.parametrize("odd", [b"k,v,w", b"k", b'k,5" disk"', b"\xef\xbb\xbf,", b"k,\0", b"k,a\rb"])
def test_an_odd_record_costs_its_surroundings_only(odd: bytes) -> None:
    """Not the megabyte it stands in."""
    lines = [b"%d,some text of a lead" % number for number in range(30_000)]
    for place in random.Random(1).sample(range(30_000), 3):
        lines.insert(place, odd)
    content = b"\n".join([b"id,text", *lines])
    chunks = read(content)
    assert sum(len(chunk) for chunk in chunks if isinstance(chunk, list)) < 4_000
    assert sum(len(chunk) for chunk in chunks) == 30_003
    assert by_chunks(content, ("id", "text")) == by_rows(content, ("id", "text"))


@pytest.mark.parametrize("size", [131_072, 131_073, 1_200_000])
def test_the_limit_of_a_value_is_the_row_readers(size: int) -> None:
    """In quotes or not, within a block or longer than one."""
    for value in (b"x" * size, b'"' + b"x" * size + b'"', "é".encode() * (size - 3)):
        content = b"id,n\na,1\nb," + value + b"\nc,2\n"
        assert by_chunks(content, ("id", "n")) == by_rows(content, ("id", "n"))
