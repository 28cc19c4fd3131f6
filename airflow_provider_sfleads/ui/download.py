"""Turn the rejects of an execution into a file for the browser: as they are, or made harmless for a spreadsheet."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow_provider_sfleads.core.outcome import BadRow
from airflow_provider_sfleads.core.text import cell_text
from airflow_provider_sfleads.exceptions import ExportError
from airflow_provider_sfleads.exports.csv_records import read_columns, read_rows
from airflow_provider_sfleads.exports.storage import storage_errors
from airflow_provider_sfleads.results.files import REJECTS, Directory
from airflow_provider_sfleads.results.rejects import line_of

_CHUNK = 256 * 1024
# No spreadsheet has more columns than 16,384, and no header that a sync writes comes near it.
_HEADER_BYTES = 1024 * 1024
# What spreadsheets pass over before they look for a formula: blanks of all kinds, and what has no width.
_BLANK = (
    r"\s\x00-\x1f\x7f\u00ad\u034f\u061c\u115f\u1160\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
)
_BLANK += r"\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\U000e0000-\U000e0fff"
# The signs, also in full width and small: https://owasp.org/www-community/attacks/CSV_Injection
_SIGN = r"[=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b]"
_FORMULA = re.compile(rf"[\t\r\n]|[{_BLANK}]*{_SIGN}")
# Where lists are separated by another sign than the comma, what follows it is a cell of its own, also behind a quote,
# which stands doubled in the file and so for nothing there. Runs are taken whole: a value of nothing but tabs would
# take minutes otherwise.
_SEPARATED = re.compile(rf'(?<![;"{_BLANK}])[;"{_BLANK}]++(?={_SIGN})')
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?")
# Without it, Excel takes UTF-8 for something else.
_BYTE_ORDER_MARK = "\ufeff"


def as_it_is(directory: Directory) -> Iterator[bytes]:
    """Yield ``rejects.csv`` in pieces; fed back as a ``FileExport``, it gives the rows that were read."""
    with directory.open(REJECTS) as stream:
        while piece := stream.read(_CHUNK):
            yield piece


def for_spreadsheet(directory: Directory) -> Iterator[bytes]:
    """Yield ``rejects.csv`` with an apostrophe before each cell that a spreadsheet would run as a formula.

    Where the file cannot be read further, the last line says so.

    :raises ExportError: where not even its header can be read.
    """
    columns = _columns(directory)
    held, size = [_BYTE_ORDER_MARK + line_of(map(_harmless, columns))], 0
    try:
        with _opened(directory) as stream:
            for row in read_rows(stream, REJECTS, ","):
                values = row.values if isinstance(row, BadRow) else row
                held.append(line_of(_harmless(cell_text(values.get(column))) for column in columns))
                size += len(held[-1])
                if size > _CHUNK:
                    yield "".join(held).encode(errors="replace")
                    held, size = [], 0
    except ExportError as problem:
        held.append(line_of([f"Here the download ends, for the file cannot be read further: {problem}"]))
    yield "".join(held).encode(errors="replace")


@contextmanager
def _opened(directory: Directory) -> Iterator[io.BufferedReader]:
    with storage_errors(REJECTS):
        stream: Any = directory.open(REJECTS)
    with stream:
        yield io.BufferedReader(stream, _CHUNK)


def _columns(directory: Directory) -> tuple[str, ...]:
    with _opened(directory) as stream:
        head = io.BytesIO(stream.read(_HEADER_BYTES))
    columns = read_columns(head, REJECTS, ",")
    if head.tell() == _HEADER_BYTES:
        raise ExportError(f"{REJECTS} has no header within its first {_HEADER_BYTES:,} bytes; it holds no rejects.")
    return columns


def _harmless(text: str) -> str:
    parted = _SEPARATED.sub(_parted, text)
    is_number = _NUMBER.fullmatch(text.strip(" "))
    return f"'{parted}" if _FORMULA.match(text) and not is_number else parted


def _parted(run: re.Match[str]) -> str:
    """Return what stands before a sign, with an apostrophe behind it where it begins a cell."""
    return f"{run[0]}'" if ";" in run[0] or "\t" in run[0] else run[0]
