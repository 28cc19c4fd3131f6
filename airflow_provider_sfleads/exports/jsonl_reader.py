"""A JSON Lines file in record batches, by the standard library's reader: each line has its own keys and types."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from typing import Any

from airflow_provider_sfleads.core.outcome import BadRow
from airflow_provider_sfleads.core.text import is_unicode
from airflow_provider_sfleads.exceptions import ExportError
from airflow_provider_sfleads.exports.record_batches import Chunk, Values, row_lists, value_chunks
from airflow_provider_sfleads.exports.storage import BYTE_ORDER_MARK, ByteStream, text_lines

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
        columns.update(dict.fromkeys(_parsed(line)[0]))
    return tuple(columns)


def read_chunks(stream: ByteStream, name: str, columns: tuple[str, ...]) -> Iterator[Chunk]:
    """Yield the file's rows in chunks, one row a line; blank lines are passed over."""
    return value_chunks(columns, row_lists(_rows(stream, name, columns)))


def _rows(stream: ByteStream, name: str, columns: tuple[str, ...]) -> Iterator[Values | BadRow]:
    known = frozenset(columns)
    late: set[str] = set()
    for number, line in _numbered(stream, name):
        value, problem = _parsed(line)
        if not known.issuperset(value):
            _warn_of_late_keys(value, known, late, f"{name}, line {number}")
        values = [value.get(column) for column in columns]
        if problem is None:
            yield values
        else:
            message = f"{name}, line {number}: {problem}."
            yield BadRow(values=dict(zip(columns, values, strict=True)), code="MALFORMED_ROW", message=message)


def _numbered(stream: ByteStream, name: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text_lines(stream.readline, name), start=1):
        # Where files were joined it may stand before any line; each line names its own columns all the same.
        stripped = line.lstrip(BYTE_ORDER_MARK).strip(" \t\r\n")
        if stripped:
            yield number, stripped


def _parsed(line: str) -> tuple[dict[str, Any], str | None]:
    r"""Return the object of a line, and what is wrong with it; the latter does not repeat the line's content.

    Halves of surrogate pairs (``\ud83d`` alone), which no UTF-8 file or request can carry, are replaced.
    """
    try:
        value = json.loads(line, parse_float=Decimal)
    except json.JSONDecodeError as problem:
        return {}, f"not JSON ({problem.msg} at character {problem.pos + 1})"
    except (ValueError, RecursionError) as problem:
        return {}, f"JSON that cannot be read ({type(problem).__name__})"
    if not isinstance(value, dict):
        return {}, "not a JSON object"
    if "\\u" in line:
        text = json.dumps(value, ensure_ascii=False, default=str)
        if not is_unicode(text):
            return json.loads(text.encode(errors="replace")), "half of a surrogate pair in a \\u escape"
    return value, None


def _warn_of_late_keys(value: dict[str, Any], known: frozenset[str], late: set[str], where: str) -> None:
    for key in value:
        if key not in known and key not in late and len(late) < _MOST_WARNINGS:
            late.add(key)
            log.warning(
                "%s: key %r is in none of the first %d lines of a file, so it is no column of this export and is "
                "left out.", where, key, SAMPLE_LINES,
            )  # fmt: skip
