"""Rows of a CSV file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from airflow_provider_sfleads.core.rows import BadRow, Row
from airflow_provider_sfleads.exceptions import ExportError
from airflow_provider_sfleads.exports.csv_records import Record, records
from airflow_provider_sfleads.exports.streams import ByteStream


def read_columns(stream: ByteStream, name: str, delimiter: str) -> tuple[str, ...]:
    """Return the names in the header line."""
    return header_of(records(stream, name, delimiter), name, delimiter)


def read_rows(stream: ByteStream, name: str, delimiter: str, columns: tuple[str, ...] | None) -> Iterator[Row | BadRow]:
    """Yield one row a record after the header; blank lines are passed over.

    :param columns: all the file's columns, in the order the rows are to have; default: the file's own.
    """
    found = records(stream, name, delimiter)
    header = header_of(found, name, delimiter)
    yield from rows_of(found, header, columns or header, name)


def rows_of(
    found: Iterator[Record], header: tuple[str, ...], columns: tuple[str, ...], name: str
) -> Iterator[Row | BadRow]:
    """Yield one row for each of the records that follow the header.

    :param columns: the file's columns, in the order the rows are to have.
    """
    same_order = header == columns
    width = len(header)
    for record in found:
        values = record.values
        if record.problem is None and len(values) == width:
            row = dict(zip(header, values, strict=True))
            yield row if same_order else {column: row[column] for column in columns}
        elif record.problem is not None or not _blank(values):
            yield _bad_row(record, header, columns, name)


def header_of(found: Iterator[Record], name: str, delimiter: str) -> tuple[str, ...]:
    """Take the header from the head of a file's records, and return the names in it.

    :raises ExportError: there is none, or it is none.
    """
    record = next((record for record in found if record.problem is not None or not _blank(record.values)), None)
    if record is None:
        raise ExportError(f"{name} has no header line: it is empty. An export without rows still names its columns.")
    if record.problem is not None:
        raise ExportError(f"{name}, line {record.first_line}: the header cannot be read: {record.problem}.")
    if any("\0" in value for value in record.values):
        raise ExportError(f"{name} holds NUL characters in its header, as UTF-16 files do; save it as UTF-8.")
    names = tuple(value.strip() or f"column_{number}" for number, value in enumerate(record.values, start=1))
    twice = [column for column, count in Counter(names).items() if count > 1]
    if twice:
        raise ExportError(f"{name} has more than one column named {', '.join(map(repr, twice))}; name each once.")
    other = next((mark for mark in ";\t|" if mark in names[0]), None)
    if len(names) == 1 and other is not None and other != delimiter:
        raise ExportError(
            f"{name} seems to have its values between {other!r}; they must be between {delimiter!r} "
            "(tab-separated files end in .tsv)."
        )
    return names


def _blank(values: list[str]) -> bool:
    """Say whether a record is a blank line; ``[""]`` is not: that is an empty value in quotes."""
    return not values or (len(values) == 1 and values[0] != "" and not values[0].strip())


def _bad_row(record: Record, header: tuple[str, ...], columns: tuple[str, ...], name: str) -> BadRow:
    values = record.values
    problem = record.problem or f"{len(values)} values where the header has {len(header)}"
    surplus = values[len(header) - 1 :]
    if len(values) > len(header):
        values = [*values[: len(header) - 1], ",".join(surplus)]
    row = dict.fromkeys(columns, "") | dict(zip(header, values, strict=False))
    return BadRow(values=row, code="MALFORMED_ROW", message=f"{name}, {record.lines}: {problem}.")


def quoted(value: str) -> str:
    """Return ``value`` as a CSV cell that any reader gives back unchanged."""
    if not any(mark in value for mark in ',"\r\n') and value == value.strip():
        return value
    return '"' + value.replace('"', '""') + '"'
