"""Read a result file of a bulk job, of ingest or query, block by block."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from airflow_provider_sfleads.exceptions import ServiceUnavailableError

# A record must fit into a block, and pyarrow reads 32 blocks ahead: so they are small, and where that is not enough,
# just large enough for any record, which has up to 400,000 characters, or 1.6 MB.
_BLOCK_BYTES = (1 << 18, 1 << 21)
# A field's name has up to 43 characters, and an object some 900 fields.
_LONGEST_HEADER = 1 << 17
_DAMAGED = "The results of a job are no CSV, or a damaged one."


def read_page(path: Path, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Read a page of a query's results, block by block.

    :param names: the columns wanted, in this order, whatever their letter case in the file.
    :raises ServiceUnavailableError: where one is not there, or the file is damaged; it repeats nothing of the file.
    """
    header, has_rows = _begin(path)
    if not header:
        return
    spelled = {name.lower(): name for name in header}
    if len(spelled) != len(header):
        raise ServiceUnavailableError(_DAMAGED)
    lacking = [name for name in names if name.lower() not in spelled]
    if lacking:
        raise ServiceUnavailableError(f"The results of a job lack the columns {', '.join(lacking)}.")
    if not has_rows:
        return
    columns = [spelled[name.lower()] for name in names]
    done = 0
    for size in _BLOCK_BYTES:
        known = done
        try:
            for batch in _blocks(path, columns, size):
                skipped = min(known, batch.num_rows)
                known -= skipped
                done += batch.num_rows - skipped
                yield batch.slice(skipped).rename_columns(list(names))
        except pa.ArrowInvalid:
            # A record larger than a block, which the next size takes; or something that none does.
            continue
        return
    raise ServiceUnavailableError(_DAMAGED)


def _begin(path: Path) -> tuple[list[str], bool]:
    """Return the header of a file, and whether anything follows."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            line = file.readline(_LONGEST_HEADER)
            if len(line) == _LONGEST_HEADER:
                raise ServiceUnavailableError(_DAMAGED)
            return next(csv.reader([line]), []), bool(file.read(1))
    except (UnicodeDecodeError, csv.Error):
        raise ServiceUnavailableError(_DAMAGED) from None


def _blocks(path: Path, columns: list[str], size: int) -> Iterator[pa.RecordBatch]:
    yield from pa_csv.open_csv(
        path,
        read_options=pa_csv.ReadOptions(block_size=size, use_threads=False),
        parse_options=pa_csv.ParseOptions(newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.string()),
            include_columns=columns,
            null_values=[""],
            strings_can_be_null=True,
        ),
    )
