"""The export that the bulk benchmarks read: Parquet with eight typical columns."""
# ruff: noqa: TID253 - no Dag file imports this, nor a process that is measured

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_AT_A_TIME = 250_000
# What pyarrow writes where nobody asks for anything else.
_GROUP = 1 << 20
_FIRST = ("Ada", "Grace", "Zoë", "Linus", "Edsger", "Barbara", "Jürgen", "Donald")
_LAST = ("Lovelace", "Hopper", "Torvalds", "Dijkstra", "Liskov", "Müller", "O'Brien", "Knuth", "van Rossum")
_FORM = ("Ltd", "Inc.", "GmbH", "& Sons, LLC")


def write_export(path: Path, rows: int) -> None:
    """Write rows with the keys K-0000001, K-0000002 ..., which are those of the emulator's virtual leads."""
    random = np.random.default_rng(1)
    writer: pq.ParquetWriter | None = None
    waiting: list[pa.Table] = []
    for start in range(0, rows, _AT_A_TIME):
        waiting.append(_table(random, start, min(_AT_A_TIME, rows - start)))
        writer = writer or pq.ParquetWriter(path, waiting[0].schema)
        if sum(table.num_rows for table in waiting) + _AT_A_TIME > _GROUP:
            writer.write_table(pa.concat_tables(waiting), row_group_size=_GROUP)
            waiting.clear()
    if writer is not None:
        if waiting:
            writer.write_table(pa.concat_tables(waiting), row_group_size=_GROUP)
        writer.close()


def _table(random: np.random.Generator, start: int, count: int) -> pa.Table:
    number = pa.array(np.arange(start + 1, start + count + 1)).cast(pa.string())
    first = _some(random, _FIRST, count)
    last = _joined(_some(random, _LAST, count), " ", _numbers(random, 10_000, count))
    company = _joined("Company ", _numbers(random, 50_000, count), " ", _some(random, _FORM, count))
    columns = {
        "key": _joined("K-", pc.utf8_lpad(number, width=7, padding="0")),
        "first": first,
        "last": last,
        "company": company,
        "email": _joined("lead", number, "@example.com"),
        "phone": _joined("+49 30 ", _numbers(random, 9_000_000, count, least=1_000_000)),
        "employees": pa.array(random.integers(1, 5_000, count), pa.int32()),
        "score": pa.array(random.integers(0, 10_000, count) / 100),
    }
    return pa.table(columns)


def _some(random: np.random.Generator, values: tuple[str, ...], count: int) -> pa.Array:
    return pa.array(values).take(pa.array(random.integers(0, len(values), count)))


def _numbers(random: np.random.Generator, most: int, count: int, least: int = 0) -> pa.Array:
    numbers: npt.NDArray[np.int64] = random.integers(least, most, count)
    return pa.array(numbers).cast(pa.string())


def _joined(*parts: pa.Array | str) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "")
