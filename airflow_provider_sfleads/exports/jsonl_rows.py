"""Rows of a JSON Lines file."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from typing import Any

from airflow_provider_sfleads.core.rows import BadRow, Row
from airflow_provider_sfleads.exceptions import ExportError
from airflow_provider_sfleads.exports.streams import BYTE_ORDER_MARK, ByteStream, text_lines

log = logging.getLogger(__name__)

#: Lines at the head of each file whose keys are the export's columns.
SAMPLE_LINES = 1_000
_MOST_WARNINGS = 20


def read_columns(stream: ByteStream, name: str) -> tuple[str, ...]:
    """Return the keys of the first :data:`SAMPLE_LINES` lines, in the order they turn up."""
    columns: dict[str, None] = {}
    for number, line in islice(_numbered(stream, name), SAMPLE_LINES):
        if number == 1 and line.startswith("["):
            raise ExportError(f"{name} is a JSON array; write one object a line instead (JSON Lines).")
        if number == 1 and "\0" in line:
            raise ExportError(f"{name} holds NUL characters, as UTF-16 files do; save it as UTF-8.")
        value, _ = _parsed(line)
        if isinstance(value, dict):
            columns.update(dict.fromkeys(value))
    return tuple(columns)


def read_rows(stream: ByteStream, name: str, columns: tuple[str, ...]) -> Iterator[Row | BadRow]:
    """Yield one row a line; blank lines are passed over."""
    known = frozenset(columns)
    unknown: set[str] = set()
    absent = dict.fromkeys(columns)
    for number, line in _numbered(stream, name):
        value, problem = _parsed(line)
        if not isinstance(value, dict):
            message = f"{name}, line {number}: {problem or 'not a JSON object'}."
            yield BadRow(values=dict(absent), code="MALFORMED_ROW", message=message)
            continue
        if not known.issuperset(value):
            _warn_of_late_keys(value, known, unknown, f"{name}, line {number}")
        row = {column: value.get(column) for column in columns}
        yield (
            row
            if problem is None
            else BadRow(values=row, code="MALFORMED_ROW", message=f"{name}, line {number}: {problem}.")
        )


def _numbered(stream: ByteStream, name: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text_lines(stream, name), start=1):
        # Where files were joined it may stand before any line; each line names its own columns all the same.
        stripped = line.lstrip(BYTE_ORDER_MARK).strip(" \t\r\n")
        if stripped:
            yield number, stripped


def _parsed(line: str) -> tuple[Any, str | None]:
    """Return the value of a line, and what is wrong with it; neither repeats the line's content."""
    try:
        value = json.loads(line, parse_float=Decimal)
    except json.JSONDecodeError as problem:
        return None, f"not JSON ({problem.msg} at character {problem.pos + 1})"
    except (ValueError, RecursionError) as problem:
        return None, f"JSON that cannot be read ({type(problem).__name__})"
    if "\\u" in line and isinstance(value, dict):
        return _without_halves(value)
    return value, None


def _without_halves(value: dict[str, Any]) -> tuple[Any, str | None]:
    r"""Replace lone halves of surrogate pairs (``\ud83d`` alone), which no UTF-8 file or request can carry."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    try:
        text.encode()
    except UnicodeEncodeError:
        mended = json.loads(text.encode(errors="replace"))
        return mended, "half of a surrogate pair in a \\u escape"
    return value, None


def _warn_of_late_keys(value: dict[str, Any], known: frozenset[str], unknown: set[str], where: str) -> None:
    for key in value:
        if key in known or key in unknown or len(unknown) >= _MOST_WARNINGS:
            continue
        unknown.add(key)
        log.warning(
            "%s: key %r is in none of the first %d lines of a file, so it is no column of this export and is left out.",
            where, key, SAMPLE_LINES,
        )  # fmt: skip
