# ruff: noqa: TID253 - a test is no Dag file
from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile

import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_sfleads.exceptions import ExportError
from airflow_provider_sfleads.exports.storage import HEAD, check_head

from .conftest import Read

CSV = b"id,name\n1,Ray\n"
JSONL = b'{"id": "1"}\n'


def table(write: object) -> bytes:
    """Return what a writer of pyarrow makes of two ids."""
    sink = pa.BufferOutputStream()
    write(pa.table({"id": ["1", "2"]}), sink)  # type: ignore[operator]
    content: bytes = sink.getvalue().to_pybytes()
    return content


def archive(*names: str) -> bytes:
    """Return a ZIP archive of files."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        for name in names:
            file.writestr(name, "x")
    return target.getvalue()


PARQUET = table(pq.write_table)
FORMATS = {
    "a gzip file": gzip.compress(CSV),
    "a zstd file": zstandard.compress(CSV),
    "a Parquet file": PARQUET,
    "a Parquet file with an encrypted footer": b"PARE" + PARQUET[4:],
    "an Excel workbook": archive("[Content_Types].xml", "xl/workbook.xml"),
    "a ZIP archive": archive("leads.csv"),
    "an old Excel workbook": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 504,
    "a bzip2 file": bz2.compress(CSV),
    "an xz file": lzma.compress(CSV),
    "an Avro file": b"Obj\x01\x04\x14avro.codec\x08null\x16avro.schema\xf2\x01",
    "an ORC file": table(pyarrow.orc.write_table),
    "a web page or XML": b"\xef\xbb\xbf\n<!DOCTYPE html><html><title>Sign in</title></html>",
}


@pytest.mark.parametrize("name", ["leads.csv", "leads.tsv", "leads.jsonl"])
@pytest.mark.parametrize("what", FORMATS)
def test_a_file_that_is_no_text_is_called_what_it_is(read: Read, name: str, what: str) -> None:
    """'0x8B is not UTF-8 (Windows-1252?)' sends people the wrong way."""
    with pytest.raises(ExportError, match=rf"{name} is no (CSV|JSON Lines) file but {what}, by its first bytes\. \w+"):
        read(FORMATS[what], name)


@pytest.mark.parametrize("what", [what for what in FORMATS if what != "a Parquet file"])
def test_a_parquet_file_that_is_none_is_called_what_it_is(read: Read, what: str) -> None:
    """The error of a Parquet reader speaks of magic bytes and footers."""
    with pytest.raises(ExportError, match=rf"leads.parquet is no Parquet file but {what}, by its first bytes"):
        read(FORMATS[what], "leads.parquet")


@pytest.mark.parametrize(
    ("content", "name", "says"),
    [
        (gzip.compress(CSV), "a.csv", r"a gzip file, .* end in \.gz, or unpack it\."),
        (zstandard.compress(CSV), "a.csv", r"a zstd file, .* end in \.zst"),
        (PARQUET, "a.csv", r"a Parquet file, .* end in \.parquet, or say format='parquet'\."),
        (JSONL, "a.csv", r"a JSON Lines file, .* end in \.jsonl, or say format='jsonl'\."),
        (CSV, "a.parquet", "plain text, .* end as what it is"),
        (CSV, "a.csv.gz", "a.csv.gz is no gzip file but plain text"),
        (CSV, "a.csv.zst", "a.csv.zst is no zstd file but plain text"),
        (zstandard.compress(CSV), "a.csv.gz", "no gzip file but a zstd file"),
        (archive("a.csv"), "a.csv.gz", "no gzip file but a ZIP archive"),
        (gzip.compress(gzip.compress(CSV)), "a.csv.gz", "no CSV file but a gzip file"),
        (gzip.compress(PARQUET), "a.jsonl.gz", "no JSON Lines file but a Parquet file"),
        (b"\x00\x01\x02\x03" * 9, "a.csv.gz", "no gzip file but of no format that is known"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_the_error_says_what_to_do(read: Read, content: bytes, name: str, says: str) -> None:
    """Also of a file that is packed twice, or not at all."""
    with pytest.raises(ExportError, match=says):
        read(content, name)


def test_the_format_that_is_said_is_held_against_the_file_too(read: Read) -> None:
    """A name tells nothing then."""
    with pytest.raises(ExportError, match=r"export is no CSV file but an Excel workbook"):
        read(FORMATS["an Excel workbook"], "export", format="csv")
    assert read(PARQUET, "export", format="parquet")[1] == [{"id": "1"}, {"id": "2"}]


@pytest.mark.parametrize("column", ["PAR1", "ORC", "BZh9", "PK", "Obj", "<a>", "{a}"])
def test_text_that_begins_as_another_format_does_is_text(read: Read, column: str) -> None:
    """People call columns as they like."""
    assert read(f"{column},n\né,2\n".encode()) == ((column, "n"), [{column: "é", "n": "2"}])


@given(st.text(st.characters(exclude_characters="<{[", exclude_categories=["Cc", "Cs"])), st.integers(0, 3))
@example("é" * HEAD, 1)
@example("PAR1,\U0001f600", 2)
def test_no_text_is_taken_for_another_format(text: str, cut: int) -> None:
    """Wherever its head is cut off, also within a character."""
    head = text.encode()
    check_head(head[: max(len(head) - cut, 0)], "csv", "x")
    check_head(head[: max(len(head) - cut, 0)], "jsonl", "x")


@given(st.binary(max_size=40))
def test_any_head_is_taken_or_told(head: bytes) -> None:
    """Nothing but an error of the export comes out."""
    for expected in ("csv", "jsonl", "parquet", "gzip", "zstd"):
        try:
            check_head(head, expected, "x")
        except ExportError as problem:
            assert str(problem).startswith("x is no ")  # noqa: PT017 - it need not be raised
