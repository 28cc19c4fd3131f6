"""Pieces of the rejects file put together: each value under the column that it was written with.

A piece begins with its header line. Those that an older version of this package has left have none; what can be told
of their columns is their number, and that the last two hold the reason.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import IO

from airflow_provider_sfleads.core.rows import BadRow, Row
from airflow_provider_sfleads.core.text import cell_text
from airflow_provider_sfleads.exports.csv_records import Record, quoted, records, rows_of
from airflow_provider_sfleads.exports.storage import opened
from airflow_provider_sfleads.results.files import Directory

EXTRA = ("error_code", "error_message")
#: How the name of a piece with a header ends, and that of one without.
HEADED, BARE = ".rejects.csv", ".csv"


def columns_of(columns: Iterable[str]) -> tuple[str, ...]:
    """Return the columns of rejects from an export's: its own of the reason are replaced."""
    return (*(column for column in columns if column not in EXTRA), *EXTRA)


def line_of(values: Iterable[object]) -> str:
    """Return a line of the file."""
    return ",".join([quoted(cell_text(value)) for value in values]) + "\n"


def write_joined(pieces: Directory, names: Sequence[str], columns: Sequence[str], target: IO[bytes]) -> None:
    """Write pieces one after the other below one header, which has the columns of all of them.

    :param names: the pieces.
    :param columns: the export's columns as they are now, with those of the reason.
    """
    headers = [_header(pieces, name, columns) for name in names]
    every = columns_of(dict.fromkeys(chain(columns, *headers)))
    target.write(_encoded(every))
    for name, header in zip(names, headers, strict=True):
        if header == every:
            _copy(pieces, name, _encoded(header) if name.endswith(HEADED) else b"", target)
        else:
            for row in _rows(pieces, name, header):
                target.write(_encoded(row.get(column) for column in every))


def _encoded(values: Iterable[object]) -> bytes:
    return line_of(values).encode(errors="replace")


def _header(pieces: Directory, name: str, columns: Sequence[str]) -> tuple[str, ...]:
    with _records(pieces, name) as found:
        first = next(found, None)
    names = tuple(first.values) if first is not None else tuple(columns)
    if name.endswith(HEADED) or len(names) == len(columns):
        # A bare piece of as many columns has those of the export, which seldom changes between two tries.
        return names if name.endswith(HEADED) else tuple(columns)
    return (*(f"column {number} of an earlier try" for number in range(1, len(names) - 1)), *EXTRA)


@contextmanager
def _records(pieces: Directory, name: str) -> Iterator[Iterator[Record]]:
    path = pieces.file(name)
    with opened(pieces.fs, path, path, None) as stream:
        yield records(stream, path, ",")


def _rows(pieces: Directory, name: str, header: tuple[str, ...]) -> Iterator[Row]:
    with _records(pieces, name) as found:
        if name.endswith(HEADED):
            next(found, None)
        for row in rows_of(found, header, header, name):
            yield row.values if isinstance(row, BadRow) else row


def _copy(pieces: Directory, name: str, header: bytes, target: IO[bytes]) -> None:
    with pieces.open(name) as piece:
        piece.seek(len(header))
        shutil.copyfileobj(piece, target)
