"""Parts of results that nobody's sync wrote."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa  # noqa: TID253 - no Dag file
import pyarrow.parquet as pq  # noqa: TID253

from airflow_provider_sfleads.results.columns import schema


def repeated(path: Path, text: str, rows: int, *, group: int | None = None) -> None:
    """Rows that all hold one text in every column, which a dictionary holds but once."""
    column = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int8()), pa.array([text]))
    columns = {field.name: column if field.type == pa.string() else pa.nulls(rows, field.type) for field in schema()}
    pq.write_table(pa.table(columns), path, compression="zstd", row_group_size=group or rows, store_schema=False)


def own_code(path: Path, codes: list[str]) -> None:
    """Rejected rows with such error codes."""
    given = {"action": pa.array(["rejected"] * len(codes)), "error_code": pa.array(codes)}
    columns = {field.name: given.get(field.name, pa.nulls(len(codes), field.type)) for field in schema()}
    pq.write_table(pa.table(columns), path, compression="zstd")


def unpacking(path: Path) -> None:
    """A page of 300 MB in each of two columns, packed into some thousand bytes."""
    table = pa.table({name: ["x" * 300_000_000] for name in ("action", "error_code")})
    pq.write_table(table, path, compression="zstd", use_dictionary=False, write_statistics=False)


def many_rows(path: Path, rows: int = 200_000_000) -> None:
    """A row group of many rows, all of them empty."""
    empty = pa.schema([("action", pa.string()), ("error_code", pa.string())])
    batch = pa.record_batch([pa.nulls(1_000_000, pa.string())] * 2, schema=empty)
    with pq.ParquetWriter(path, empty) as writer:
        for _ in range(rows // batch.num_rows):
            writer.write_batch(batch, row_group_size=rows)


def many_columns(path: Path) -> None:
    """Ten thousand columns, and none that results have."""
    pq.write_table(pa.table({f"c{n}": pa.nulls(1) for n in range(10_000)}), path)


def nested(path: Path) -> None:
    """A column in a column in a column, and so on."""
    kind = pa.string()
    for _ in range(500):
        kind = pa.struct([("a", kind)])
    pq.ParquetWriter(path, pa.schema([("action", kind)])).close()


def other_types(path: Path) -> None:
    """The columns of results, all of them numbers."""
    pq.write_table(pa.table({field.name: pa.array([1]) for field in schema()}), path)


def torn(path: Path) -> None:
    """The first half of a part."""
    repeated(path, "x", 100)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


#: By name, with what is told of it.
KINDS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a long text, ten thousand times": (
        lambda path: repeated(path, "x" * 650_000, 10_000),
        "it takes more than 512 MB of memory",
    ),
    "pages that unpack": (unpacking, "it takes more than 512 MB of memory"),
    "many columns": (many_columns, "action"),
    "nested": (nested, "nested"),
    "other types": (other_types, "int64"),
    "torn": (torn, "magic bytes"),
    "empty": (lambda path: path.write_bytes(b""), "size"),
    "text": (lambda path: path.write_text("key,action\n" * 1_000), "magic bytes"),
}
