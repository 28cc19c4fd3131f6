"""Files that were put together from others: header lines and byte order marks in the middle."""

from __future__ import annotations

import gzip
import logging
from pathlib import Path

import pytest

from airflow_provider_sfleads.core.outcome import BadRow, Row
from airflow_provider_sfleads.exceptions import ExportError
from airflow_provider_sfleads.exports import FileExport
from airflow_provider_sfleads.exports.csv_records import quoted

MARK = b"\xef\xbb\xbf"
FEW, MANY = 1, 40_000


def rows_of(path: Path) -> list[Row | BadRow]:
    """Return the rows of an export."""
    with FileExport(path).open() as stream:
        return list(stream.rows)


def written(path: Path, content: bytes) -> Path:
    """Write a file, packed as its name says."""
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("count", [FEW, MANY])
@pytest.mark.parametrize(
    "line",
    [
        b"key,last",
        MARK + b"key,last",
        MARK * 2 + b'"key","last"',
        b'"key", last ',
        b"key,last\r",
        b"\tkey,last",
        b"KEY,LAST",
        MARK + b'"Key","Last"\r',
    ],
)
def test_the_header_line_again_is_passed_over_with_a_warning(
    tmp_path: Path, line: bytes, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    """It is no lead by the name of 'last', whichever reader finds it, and whatever stands around it."""
    body = b"".join(b"A%d,Ray\n" % number for number in range(count))
    path = written(tmp_path / "leads.csv", b"key,last\n" + body + line + b"\n" + body)
    with caplog.at_level(logging.WARNING):
        found = rows_of(path)
    assert found == [{"key": f"A{number}", "last": "Ray"} for number in range(count)] * 2
    assert f"leads.csv, line {count + 2}: the header line again" in caplog.text


def test_the_header_line_again_is_found_at_the_end_and_many_times(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An empty part among those that were joined leaves two in a row; the log does not grow with their number."""
    path = written(tmp_path / "leads.csv", b"key,last\n" * 30 + b"A1,Ray\n" + b"key,last\n" * 30 + b"key,last")
    with caplog.at_level(logging.WARNING):
        assert rows_of(path) == [{"key": "A1", "last": "Ray"}]
    assert caplog.text.count("the header line again") == 20


def test_members_of_a_gzip_file_are_joined_files_as_well(tmp_path: Path) -> None:
    """`cat a.csv.gz b.csv.gz` is one file of two members."""
    path = tmp_path / "leads.csv.gz"
    path.write_bytes(gzip.compress(MARK + b"key,last\nA1,Ray\n") + gzip.compress(MARK + b"key,last\nA2,Roe\n"))
    assert [row["key"] for row in rows_of(path)] == ["A1", "A2"]  # type: ignore[index]


def test_columns_without_a_name_are_part_of_the_header_line(tmp_path: Path) -> None:
    """As pandas writes its index."""
    path = written(tmp_path / "leads.csv", b",key,last\n0,A1,Ray\n,key,last\n,A2,Roe\n")
    assert [row["key"] for row in rows_of(path)] == ["A1", "A2"]  # type: ignore[index]


def test_a_row_that_only_begins_as_the_header_does_is_a_row(tmp_path: Path) -> None:
    """Or holds one name twice."""
    lines = b"key,last\nkey,Ray\nlast,last\nKEY,Ray\nkey,key\nKey,KEY\n"
    assert len(rows_of(written(tmp_path / "leads.csv", lines))) == 5


def test_names_that_differ_in_letter_case_alone_are_two(tmp_path: Path) -> None:
    """A line of them is the header again only in its own spelling."""
    path = written(tmp_path / "leads.csv", b"KEY,Key\nA1,Ray\nkey,key\nKEY,Key\nA2,Roe\n")
    assert [row["KEY"] for row in rows_of(path)] == ["A1", "key", "A2"]  # type: ignore[index]


@pytest.mark.parametrize("line", ["SCHLÜSSEL,NAME", "schlüssel,Name", "i̇D,ΣΑΣ", "\u212aEY,NAME"])
def test_letters_beyond_ascii_have_a_case_as_well(tmp_path: Path, line: str) -> None:
    """Python's, in both readers; Arrow's is another for some."""
    first = {"S": "Schlüssel,name", "s": "Schlüssel,name", "i": "İd,σας"}.get(line[0], "key,name")
    path = written(tmp_path / "leads.csv", f"{first}\nA1,Ray\n{line}\nA2,Roe\n".encode())
    assert len(rows_of(path)) == 2


@pytest.mark.parametrize("line", [b"key,company,last", b"Key,COMPANY,last"])
def test_a_header_line_in_another_order_is_an_error(tmp_path: Path, line: bytes) -> None:
    """The rows below it would be read with the company as the name."""
    path = written(tmp_path / "leads.csv", b"key,last,company\nA1,Ray,Acme\n" + line + b"\nA2,Acme,Roe\n")
    with pytest.raises(ExportError, match=r"line 3: the header line again, .* another order"):
        rows_of(path)


def test_a_header_line_of_another_width_is_a_bad_row(tmp_path: Path) -> None:
    """As are the rows below it."""
    path = written(tmp_path / "leads.csv", b"key,last\nA1,Ray\nkey,last,company\nA2,Roe,Acme\n")
    assert [isinstance(row, BadRow) for row in rows_of(path)] == [False, True, True]


@pytest.mark.parametrize("count", [FEW, MANY])
@pytest.mark.parametrize("line", [b"B1,Roe", b'"B1",Roe', b'"B1","Roe"', b"id,name"])
def test_any_other_line_after_a_byte_order_mark_is_a_bad_row_without_it(
    tmp_path: Path, line: bytes, count: int
) -> None:
    """What begins there is another file, perhaps with other columns; mended, the reject is read without the mark."""
    body = b"".join(b"A%d,Ray\n" % number for number in range(count))
    path = written(tmp_path / "leads.csv", b"key,last\n" + body + MARK + line + b"\n" + body)
    found = rows_of(path)
    (bad,) = [row for row in found if isinstance(row, BadRow)]
    assert list(bad.values.values()) == line.decode().replace('"', "").split(",")
    assert f"leads.csv, line {count + 2}: a byte order mark in the middle of the file" in bad.message
    assert bad.code == "MALFORMED_ROW"
    assert len(found) == 2 * count + 1


@pytest.mark.parametrize("end", [MARK, MARK + b"\n", b"\n" + MARK + b"\r\n\r\n"])
def test_a_byte_order_mark_before_nothing_is_a_blank_line(tmp_path: Path, end: bytes) -> None:
    """The file that was joined was empty."""
    assert len(rows_of(written(tmp_path / "leads.csv", b"key,last\nA1,Ray\n" + end))) == 1


def test_a_byte_order_mark_at_the_head_of_every_part_is_no_matter(tmp_path: Path) -> None:
    """Also twice, as two programs leave it."""
    written(tmp_path / "a.csv", MARK + b"key,last\nA1,Ray\n")
    written(tmp_path / "b.csv", MARK * 2 + b'"key",last\nA2,Roe\n')
    assert [row["key"] for row in rows_of(tmp_path)] == ["A1", "A2"]  # type: ignore[index]


def test_a_byte_order_mark_inside_a_value_is_part_of_it(tmp_path: Path) -> None:
    """Only where a record begins does it stand for the beginning of a file; quoted, it does not."""
    value = "\ufeffA1"
    path = tmp_path / "leads.csv"
    path.write_text(f'key,last\n{quoted(value)},"a\n\ufeffb"\n', encoding="utf-8")
    assert rows_of(path) == [{"key": value, "last": "a\n\ufeffb"}]


def test_json_lines_lose_a_byte_order_mark_before_any_line(tmp_path: Path) -> None:
    """Each line names its columns itself, so that no row is in doubt."""
    path = written(tmp_path / "leads.jsonl", MARK + b'{"key": "A1"}\n' + MARK + b'{"key": "A2"}\n' + MARK)
    assert rows_of(path) == [{"key": "A1"}, {"key": "A2"}]
