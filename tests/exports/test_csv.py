from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.core.outcome import BadRow
from airflow_provider_sfleads.exceptions import ExportError
from airflow_provider_sfleads.exports import FileExport, csv_records
from airflow_provider_sfleads.exports.storage import MAX_LINE_BYTES

from .conftest import Endless, Read

TEXT = st.text(st.characters(codec="utf-8"))


def only_bad(rows: Sequence[object]) -> BadRow:
    """Return the single bad row among ``rows``."""
    (bad,) = [row for row in rows if isinstance(row, BadRow)]
    assert bad.code == "MALFORMED_ROW"
    return bad


def test_every_value_is_text_and_an_empty_cell_is_an_empty_text(read: Read) -> None:
    """Nothing is guessed: 01 stays 01, and blank is for the mapping to judge."""
    assert read(b"id,n,x\na,01,\n") == (("id", "n", "x"), [{"id": "a", "n": "01", "x": ""}])


def test_a_header_alone_is_an_export_without_rows(read: Read) -> None:
    """A day without leads is no error."""
    assert read(b"id,name\n") == (("id", "name"), [])
    assert read(b"id,name") == (("id", "name"), [])


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_a_file_without_a_header_line_is_an_error(read: Read, content: bytes) -> None:
    """A writer that died before its first byte must not look like a day without leads."""
    with pytest.raises(ExportError, match="no header line"):
        read(content)


def test_header_names_lose_the_spaces_around_them_and_keep_those_inside(read: Read) -> None:
    """People type a space after the comma."""
    assert read(b" id , Last Name ,\xc2\xa0x\na,b,c\n")[0] == ("id", "Last Name", "x")


def test_a_column_without_a_name_gets_its_number(read: Read) -> None:
    """Pandas writes its index so."""
    assert read(b",name, \n0,a,b\n") == (
        ("column_1", "name", "column_3"), [{"column_1": "0", "name": "a", "column_3": "b"}]
    )  # fmt: skip


@pytest.mark.parametrize("header", [b"id,name,id ", b"column_2,"])
def test_two_columns_of_one_name_are_an_error_that_names_it(read: Read, header: bytes) -> None:
    """Either could be the one that is mapped."""
    with pytest.raises(ExportError, match=r"more than one column named '(id|column_2)'"):
        read(header + b"\n")


def test_a_byte_order_mark_is_dropped(read: Read) -> None:
    """Excel writes one; it must not become part of the first name, in quotes or not."""
    assert read(b"\xef\xbb\xbfid\na\n")[0] == ("id",)
    assert read(b'\xef\xbb\xbf"id"\na\n')[0] == ("id",)


def test_lines_of_windows_and_blank_lines_are_no_matter(read: Read) -> None:
    """CRLF ends a line, and lines with nothing on them are no rows."""
    rows = [{"id": "a", "n": "1"}, {"id": "b", "n": "2"}]
    assert read(b"\r\nid,n\r\na,1\r\n\r\n   \r\nb,2")[1] == rows


def test_an_empty_value_in_quotes_is_a_row_of_a_one_column_file(read: Read) -> None:
    """It differs from a blank line."""
    assert read(b'id\n""\n\na\n')[1] == [{"id": ""}, {"id": "a"}]


def test_only_a_line_feed_ends_a_line(read: Read) -> None:
    """Unicode has more line ends, and str.splitlines knows all of them."""
    value = "a\u2028b\u0085c\u2029d\x0be\x0cf\x1cg\x00h"
    assert read(f"id,n\n{value},1\n".encode())[1] == [{"id": value, "n": "1"}]


def test_values_in_quotes_keep_their_line_breaks(read: Read) -> None:
    """As they are: LF, CRLF and CR."""
    assert read(b'id,n\n"a\nb\r\nc\rd",1\n')[1] == [{"id": "a\nb\r\nc\rd", "n": "1"}]


def test_a_line_with_too_few_values_is_a_bad_row_with_all_columns(read: Read) -> None:
    """Its neighbours are not touched."""
    columns, rows = read(b"id,n,x\na,1,2\nb,1\nc,1,2\n")
    bad = only_bad(rows)
    assert bad.values == {"id": "b", "n": "1", "x": ""}
    assert bad.message.endswith("leads.csv, line 3: 2 values where the header has 3.")
    assert columns == ("id", "n", "x")
    assert rows[2] == {"id": "c", "n": "1", "x": "2"}


def test_a_line_with_too_many_values_keeps_the_surplus_for_the_rejects(read: Read) -> None:
    """An unquoted comma can be mended only where the text after it is still there."""
    bad = only_bad(read(b"id,company\na,Acme, Inc., NY\n")[1])
    assert bad.values == {"id": "a", "company": "Acme, Inc., NY"}
    assert "line 2: 4 values where the header has 2" in bad.message


def test_line_numbers_count_lines_inside_values(read: Read) -> None:
    """The number is the one that an editor shows."""
    _, rows = read(b'id,n\n"a\n\nb",1\nc\n"d\ne",1,2\n')
    messages = [row.message.partition(", ")[2] for row in rows if isinstance(row, BadRow)]
    assert messages == [
        "line 5: 1 values where the header has 2.",
        "lines 6 to 7: 3 values where the header has 2.",
    ]


def test_quotes_that_are_not_doubled_make_a_bad_row(read: Read) -> None:
    """The csv module would silently take the value for another one."""
    _, rows = read(b'id,name\na,"John "Johnny" Smith"\nb,"Jo ""J"" Smith"\n')
    assert "line 2: text after a closing quote" in only_bad(rows).message
    assert rows[1] == {"id": "b", "name": 'Jo "J" Smith'}


def test_a_quote_inside_a_bare_value_is_part_of_it(read: Read) -> None:
    """Inches and nicknames."""
    assert read(b'id,n\n5" disk,O"Neil\n')[1] == [{"id": '5" disk', "n": 'O"Neil'}]


def test_a_quote_that_never_closes_is_an_error_that_names_its_line(read: Read) -> None:
    """Everything after it would be one value."""
    with pytest.raises(ExportError, match=r"the quote that opens on line 4 never closes"):
        read(b'id,n\n"a\nb",1\nc,"d\ne,2\nf,3\n')
    with pytest.raises(ExportError, match=r"the quote that opens on line 2 never closes"):
        read(b'id,n\na,"d\nsay ""x"" to\n""y""\n')


def test_a_quote_that_never_closes_stops_long_before_memory_does() -> None:
    """The csv module's limit of a value bounds what is read."""
    source = Endless(b'id,n\na,"', b"some text\n")
    with pytest.raises(ExportError, match=r"opens on line 2 never closes, or holds more than 131,072"):
        list(csv_records.read_rows(io.BufferedReader(source), "x.csv", ","))
    assert source.given < 1_000_000


def test_a_file_without_line_breaks_stops_at_the_longest_line() -> None:
    """A file that is no CSV is not read into memory."""
    source = Endless(b"id,n\n", b"x" * 65536)
    with pytest.raises(ExportError, match="line 2 is longer than"):
        list(csv_records.read_rows(io.BufferedReader(source), "x.csv", ","))
    assert source.given < MAX_LINE_BYTES + 200_000


def test_a_value_beyond_the_limit_on_one_line_is_a_bad_row(read: Read) -> None:
    """131,072 characters are the most that a Salesforce field holds; one more is refused."""
    assert read(b"id,n\na," + b"x" * 131_072 + b"\n")[1] == [{"id": "a", "n": "x" * 131_072}]
    bad = only_bad(read(b"id,n\na," + b"x" * 131_073 + b"\nb,1\n")[1])
    assert "line 2: a value of more than 131,072 characters" in bad.message
    assert bad.values == {"id": "", "n": ""}


def test_a_carriage_return_outside_quotes_is_a_bad_row(read: Read) -> None:
    """It is neither a line end nor surely part of the value."""
    assert "line 2: a carriage return outside quotes" in only_bad(read(b"id,n\na\rb,1\nc,2\n")[1]).message
    assert "line 2: a carriage return outside quotes" in only_bad(read(b'id,n\n5"" disk\rb,1\nc,2\n')[1]).message


def test_a_file_with_old_mac_line_ends_is_refused_at_its_header(read: Read) -> None:
    """The whole file is one line then."""
    with pytest.raises(ExportError, match="header cannot be read: a carriage return"):
        read(b"id,n\ra,1\rb,2\r")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_byte_order_mark_of_another_encoding_is_told_at_once(read: Read, encoding: str) -> None:
    """Excel's "Unicode text" is UTF-16."""
    with pytest.raises(ExportError, match=r"encoded in UTF-(16|32); save it as UTF-8"):
        read("id,n\na,1\n".encode(encoding))


def test_utf_16_without_a_mark_is_known_by_its_nuls(read: Read) -> None:
    """It decodes as UTF-8 without complaint."""
    with pytest.raises(ExportError, match="NUL characters in its header, as UTF-16 files do"):
        read("id,n\na,1\n".encode("utf-16-le"))


def test_a_byte_that_is_not_utf_8_is_told_with_its_place(read: Read) -> None:
    """The file, the line, the byte and what to do."""
    with pytest.raises(ExportError, match=r"leads.csv, line 3, byte 15: 0xE9 is not UTF-8.*save it as UTF-8"):
        read("id,n\na,ü\nb,Ren".encode() + "é\n".encode("cp1252"))


@pytest.mark.parametrize("header", [b"id;name", b"id\tname", b"id|name"])
def test_another_separator_is_told(read: Read, header: bytes) -> None:
    """Excel in much of Europe writes semicolons; 'column id is missing' would be no help."""
    with pytest.raises(ExportError, match="seems to have its values between"):
        read(header + b"\na;b\n")


def test_tsv_is_tab_separated(read: Read) -> None:
    """By its suffix."""
    assert read(b"id\tn\na,b\t1\n", "leads.tsv")[1] == [{"id": "a,b", "n": "1"}]


def test_rows_come_before_the_file_is_read_to_its_end() -> None:
    """The source has no end."""
    source = Endless(b"id,n\n", b"a,1\n" * 1000)
    rows = csv_records.read_rows(io.BufferedReader(source), "x.csv", ",")
    assert next(rows) == {"id": "a", "n": "1"}
    assert source.given < 100_000


@settings(deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), max_size=20), st.sampled_from(["\n", "\r\n"]))
def test_any_text_that_the_csv_module_writes_is_read_back(rows: list[tuple[str, str]], end: str) -> None:
    """An independent writer, all of Unicode."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "leads.csv"
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator=end, quoting=csv.QUOTE_ALL)
            writer.writerows([("a", "b"), *rows])
        with FileExport(path).open() as export:
            assert list(export.rows) == [{"a": a, "b": b} for a, b in rows]
