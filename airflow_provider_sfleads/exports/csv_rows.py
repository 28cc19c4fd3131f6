"""Rows of a CSV file."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_provider_sfleads.core.rows import BadRow, Row
from airflow_provider_sfleads.exports.csv_header import HeaderAgain, header_of, is_blank
from airflow_provider_sfleads.exports.csv_records import Record, records
from airflow_provider_sfleads.exports.streams import ByteStream


def read_columns(stream: ByteStream, name: str, delimiter: str) -> tuple[str, ...]:
    """Return the names in the header line."""
    return header_of(records(stream, name, delimiter), name, delimiter)


def read_rows(stream: ByteStream, name: str, delimiter: str) -> Iterator[Row | BadRow]:
    """Yield one row a record after the header; blank lines are passed over."""
    found = records(stream, name, delimiter)
    header = header_of(found, name, delimiter)
    yield from rows_of(found, header, header, name)


def rows_of(
    found: Iterator[Record],
    header: tuple[str, ...],
    columns: tuple[str, ...],
    name: str,
    again: HeaderAgain | None = None,
) -> Iterator[Row | BadRow]:
    """Yield one row for each of the records that follow the header.

    :param columns: the file's columns, in the order the rows are to have.
    :param again: what knows the header line, where it comes again; given where a file is read in several stretches.
    """
    again = again or HeaderAgain(header, name)
    same_order = header == columns
    width = len(header)
    for record in found:
        values = record.values
        if len(values) == width and again.passed_over(record):
            continue
        if record.problem is None and len(values) == width:
            row = dict(zip(header, values, strict=True))
            yield row if same_order else {column: row[column] for column in columns}
        elif record.problem is not None or not is_blank(values):
            yield _bad_row(record, header, columns, name)


def _bad_row(record: Record, header: tuple[str, ...], columns: tuple[str, ...], name: str) -> BadRow:
    values = record.values
    problem = record.problem or f"{len(values)} values where the header has {len(header)}"
    surplus = values[len(header) - 1 :]
    if len(values) > len(header):
        values = [*values[: len(header) - 1], ",".join(surplus)]
    row = dict.fromkeys(columns, "") | dict(zip(header, values, strict=False))
    return BadRow(values=row, code="MALFORMED_ROW", message=f"{name}, {record.lines}: {problem}.")


def quoted(value: str) -> str:
    """Return ``value`` as a CSV cell that any reader gives back unchanged, also first in its line (U+FEFF)."""
    if not any(mark in value for mark in ',"\r\n\ufeff') and value == value.strip():
        return value
    return '"' + value.replace('"', '""') + '"'
