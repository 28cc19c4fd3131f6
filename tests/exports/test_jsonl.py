from __future__ import annotations

import io
import json
import tempfile
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.core.outcome import BadRow
from airflow_provider_sfleads.exceptions import ExportError
from airflow_provider_sfleads.exports import FileExport, jsonl_reader
from airflow_provider_sfleads.exports.record_batches import chunk_rows

from .conftest import Endless, Read

TEXT = st.text(st.characters(codec="utf-8"))
VALUE = st.one_of(st.none(), st.booleans(), st.integers(), TEXT, st.lists(TEXT, max_size=2))


def test_values_keep_their_types_and_numbers_their_digits(read: Read) -> None:
    """A score of 0.1 is not 0.1000000000000000055, and a long number is not rounded."""
    line = b'{"id": 12345678901234567890, "score": 0.10, "on": true, "x": null, "tags": ["a", {"b": 1.5}]}\n'
    assert read(line, "leads.jsonl") == (
        ("id", "score", "on", "x", "tags"),
        [{"id": 12345678901234567890, "score": Decimal("0.10"), "on": True, "x": None,
          "tags": ["a", {"b": Decimal("1.5")}]}],
    )  # fmt: skip


def test_columns_are_the_keys_of_all_rows_and_an_absent_one_is_none(read: Read) -> None:
    """Writers of JSON leave nulls out."""
    columns, rows = read(b'{"id": "a"}\n\n{"n": 1, "id": "b"}\r\n{}', "leads.ndjson")
    assert columns == ("id", "n")
    assert rows == [{"id": "a", "n": None}, {"id": "b", "n": 1}, {"id": None, "n": None}]


def test_an_empty_file_has_neither_rows_nor_columns(read: Read) -> None:
    """JSON Lines have no header that could be missing."""
    assert read(b"", "leads.jsonl") == ((), [])
    assert read(b"\n \n", "leads.jsonl") == ((), [])


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"id": "b", ', "not JSON (Expecting property name"),
        (b"[1, 2]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'{"id": ' + b"9" * 5000 + b"}", "JSON that cannot be read (ValueError)"),
        (b"[" * 100_000, "JSON that cannot be read (RecursionError)"),
    ],
)
def test_a_line_that_is_no_object_is_a_bad_row_that_names_its_place(read: Read, line: bytes, problem: str) -> None:
    """The rest of the file is good."""
    _, rows = read(b'{"id": "a"}\n\n' + line + b'\n{"id": "c"}\n', "leads.jsonl")
    bad = rows[1]
    assert isinstance(bad, BadRow)
    assert bad.code == "MALFORMED_ROW"
    assert bad.values == {"id": None}
    assert f"leads.jsonl, line 3: {problem}" in bad.message
    assert rows[2] == {"id": "c"}


def test_half_a_surrogate_pair_is_a_bad_row_that_can_be_written(read: Read) -> None:
    """JSON can spell text that no UTF-8 file and no request can hold."""
    _, rows = read(rb'{"id": "a", "n": "x\ud83d", "d": 1.5}' + b"\n" + rb'{"id": "b", "n": "\ud83d\ude00"}', "l.jsonl")
    assert isinstance(rows[0], BadRow)
    assert rows[0].values == {"id": "a", "n": "x?", "d": "1.5"}
    assert rows[1] == {"id": "b", "n": "\U0001f600", "d": None}


def test_a_json_array_is_told_at_once(read: Read) -> None:
    """Each of its lines would be a bad row otherwise."""
    with pytest.raises(ExportError, match=r"is a JSON array; write one object a line instead"):
        read(b'[\n{"id": "a"}\n]\n', "leads.json")


def test_utf_16_without_a_mark_is_known_by_its_nuls(read: Read) -> None:
    """As in CSV."""
    with pytest.raises(ExportError, match="NUL characters, as UTF-16 files do"):
        read('{"id": "a"}\n'.encode("utf-16-le"), "leads.jsonl")


def test_a_byte_order_mark_is_dropped_and_another_encoding_told(read: Read) -> None:
    """As in CSV."""
    assert read(b'\xef\xbb\xbf{"id": "a"}', "leads.jsonl")[1] == [{"id": "a"}]
    with pytest.raises(ExportError, match=r"line 2, byte 19: 0xFC is not UTF-8"):
        read(b'{"id": "a"}\n{"id":"\xfc"}', "leads.jsonl")


def test_a_key_that_turns_up_late_is_left_out_with_a_warning(read: Read, caplog: pytest.LogCaptureFixture) -> None:
    """It is no column, so nothing can be mapped from it; one warning, not one a row."""
    late = b'{"id": "b", "late": 1}\n'
    columns, rows = read(b'{"id": "a"}\n' * jsonl_reader.SAMPLE_LINES + late + late, "leads.jsonl")
    assert columns == ("id",)
    assert rows[-1] == {"id": "b"}
    assert [record.getMessage() for record in caplog.records if "late" in record.getMessage()] == [
        caplog.records[-1].getMessage()
    ]
    assert "leads.jsonl, line 1001: key 'late'" in caplog.text


def test_rows_come_before_the_file_is_read_to_its_end() -> None:
    """The source has no end."""
    source = Endless(b"", b'{"id": "a"}\n' * 1000)
    chunks = jsonl_reader.read_chunks(io.BufferedReader(source), "x.jsonl", ("id",))
    assert next(chunk_rows(next(chunks))) == {"id": "a"}
    assert source.given < 1_000_000


@settings(deadline=None)
@given(st.lists(st.dictionaries(TEXT, VALUE, max_size=4), max_size=10), st.booleans())
def test_any_object_that_the_json_module_writes_is_read_back(
    rows: list[dict[str, object]],
    ascii_only: bool,  # noqa: FBT001 - given by position
) -> None:
    """All of Unicode, escaped or not."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "leads.jsonl"
        lines = [json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows]
        path.write_bytes("".join(lines).encode())
        with FileExport(path).open() as export:
            assert list(export.rows) == [{name: row.get(name) for name in export.columns} for row in rows]
