"""The rejects of an execution as a file for the browser: as they are, or made harmless for a spreadsheet."""

from __future__ import annotations

import re
from collections.abc import Iterator

from airflow_provider_sfleads.core.cell_text import cell_text
from airflow_provider_sfleads.core.rows import BadRow
from airflow_provider_sfleads.exports.csv_rows import read_columns, read_rows
from airflow_provider_sfleads.exports.streams import opened
from airflow_provider_sfleads.results.files import REJECTS, Directory
from airflow_provider_sfleads.results.reject_pieces import line_of

_CHUNK = 256 * 1024
_LINES = 500
# What spreadsheets take for a formula, but for numbers: https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = re.compile(r"[=+\-@\t\r\n]")
# Where lists are separated by another sign than the comma, what follows it is a cell of its own.
_FORMULA_WITHIN = re.compile(r"([;\t]\s*)(?=[=+\-@])")
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?")
# Without it, Excel takes UTF-8 for something else.
_BYTE_ORDER_MARK = "\ufeff"


def as_it_is(directory: Directory) -> Iterator[bytes]:
    """Yield ``rejects.csv`` in pieces; fed back as a ``FileExport``, it gives the rows that were read."""
    with directory.open(REJECTS) as stream:
        while piece := stream.read(_CHUNK):
            yield piece


def for_spreadsheet(directory: Directory) -> Iterator[bytes]:
    """Yield ``rejects.csv`` with an apostrophe before each cell that a spreadsheet would run as a formula."""
    path = directory.file(REJECTS)
    with opened(directory.fs, path, path, None) as stream:
        columns = read_columns(stream, path, ",")
    yield (_BYTE_ORDER_MARK + line_of(map(_harmless, columns))).encode()
    with opened(directory.fs, path, path, None) as stream:
        lines: list[str] = []
        for row in read_rows(stream, path, ",", None):
            values = row.values if isinstance(row, BadRow) else row
            lines.append(line_of(_harmless(cell_text(values.get(column))) for column in columns))
            if len(lines) == _LINES:
                yield "".join(lines).encode(errors="replace")
                lines = []
        yield "".join(lines).encode(errors="replace")


def _harmless(text: str) -> str:
    text = _FORMULA_WITHIN.sub(r"\1'", text)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text
