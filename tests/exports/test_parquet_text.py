# ruff: noqa: TID253 - a test is no Dag file
"""Text of Parquet files whose columns do not say that they are text."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.core.outcome import BadRow, Row
from airflow_provider_sfleads.exports import FileExport, parquet_reader
from airflow_provider_sfleads.exports.record_batches import Chunk, chunk_rows

TEXT, IMAGE = "Müller 🚀".encode(), b"\x89PNG\r\n\x1a\n"
VALUE = st.one_of(st.none(), st.binary(max_size=3), st.text(st.characters(exclude_categories=["Cs"])).map(str.encode))


def read(table: pa.Table, path: Path, **kwargs: Any) -> tuple[list[Row | BadRow], list[Chunk]]:
    """Return the rows of a table's file, and its chunks."""
    pq.write_table(table, path, **kwargs)
    with FileExport(path).open() as stream:
        chunks = list(stream.chunks)
    return [row for chunk in chunks for row in chunk_rows(chunk)], chunks


@pytest.mark.parametrize(
    "kind",
    [
        pa.binary(),
        pa.large_binary(),
        pa.binary(len(TEXT)),
        pa.dictionary(pa.int32(), pa.binary()),
        pa.dictionary(pa.int8(), pa.large_binary()),
    ],
    ids=str,
)
@pytest.mark.parametrize("store_schema", [False, True])
def test_bytes_that_are_utf_8_are_text(
    tmp_path: Path,
    kind: pa.DataType,
    store_schema: bool,  # noqa: FBT001 - given by pytest
) -> None:
    """Whatever Arrow makes of them; in columns of text, so that a big load stays fast."""
    values = pa.array([TEXT, None, TEXT], pa.binary()).cast(kind.value_type if pa.types.is_dictionary(kind) else kind)
    column = values.dictionary_encode() if pa.types.is_dictionary(kind) else values
    rows, chunks = read(pa.table({"key": column}), tmp_path / "leads.parquet", store_schema=store_schema)
    assert rows == [{"key": TEXT.decode()}, {"key": None}, {"key": TEXT.decode()}]
    assert [chunk.schema.types for chunk in chunks if isinstance(chunk, pa.RecordBatch)] == [[pa.string()]]


def test_lists_of_bytes_are_lists_of_text(tmp_path: Path) -> None:
    """For a multi-select picklist."""
    column = pa.array([[b"A one", b"C three"], None, [], [None, IMAGE]], pa.list_(pa.binary()))
    rows, _ = read(pa.table({"list": column}), tmp_path / "leads.parquet")
    assert [row["list"] for row in rows] == [["A one", "C three"], None, [], [None, IMAGE]]  # type: ignore[index]


@pytest.mark.parametrize("kind", [pa.large_list(pa.binary()), pa.list_(pa.large_binary(), 2)], ids=str)
def test_lists_of_any_kind_are(tmp_path: Path, kind: pa.DataType) -> None:
    """Arrow writes down which it was."""
    rows, _ = read(pa.table({"list": pa.array([[b"A one", TEXT], None], kind)}), tmp_path / "leads.parquet")
    assert [row["list"] for row in rows] == [["A one", TEXT.decode()], None]  # type: ignore[index]


@pytest.mark.parametrize("value", [IMAGE, b"\x01\0\0\0", b"\xed\xa0\x80"])
def test_bytes_that_are_no_text_stay_bytes(tmp_path: Path, value: bytes) -> None:
    """Pictures, spans of time; a whole column of them costs no speed."""
    rows, chunks = read(pa.table({"key": [b"k"] * 3, "image": [value, None, value]}), tmp_path / "leads.parquet")
    assert rows[0] == {"key": "k", "image": value}
    assert [chunk.schema.types for chunk in chunks if isinstance(chunk, pa.RecordBatch)] == [[pa.string(), pa.binary()]]


def test_a_bad_row_keeps_its_text(tmp_path: Path) -> None:
    """Another value of it cannot be read."""
    columns = {"key": [b"k", b"l"], "n": [IMAGE, TEXT], "broken": pa.array([b"", IMAGE]).view(pa.string())}
    _, bad = read(pa.table(columns), tmp_path / "leads.parquet")[0]
    assert isinstance(bad, BadRow)
    assert bad.values == {"key": "l", "n": TEXT.decode(), "broken": None}
    assert "row 2: the value of 'broken'" in bad.message


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(VALUE, VALUE), max_size=12), st.integers(1, 5))
def test_each_value_is_read_for_itself(values: list[tuple[bytes | None, bytes | None]], size: int) -> None:
    """Whatever stands in other rows of its batch, and in chunks as by the row."""

    def meant(value: bytes | None) -> object:
        try:
            return value if value is None or b"\0" in value else value.decode()
        except UnicodeDecodeError:
            return value

    table = pa.table(
        {"a": pa.array([a for a, _ in values], pa.binary()), "b": pa.array([b for _, b in values], pa.binary())}
    )
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(parquet_reader, "_BATCH", size)
        rows, _ = read(table, Path(folder) / "leads.parquet")
    assert rows == [{"a": meant(a), "b": meant(b)} for a, b in values]
