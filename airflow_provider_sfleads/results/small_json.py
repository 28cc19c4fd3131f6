"""Reads JSON that people look at, and that anybody who may write to the storage can have put there."""

from __future__ import annotations

import json

from airflow_provider_sfleads.results.files import Directory

#: Most bytes that are taken; a report of a thousand jobs has some thirty thousand.
MAX_JSON_BYTES = 1024 * 1024


def small_json(content: bytes) -> object:
    """Return the value that such a text is; of what cannot be written as JSON again, such as NaN, it is none.

    :raises ValueError: for one that is too long, nested too deeply, or no JSON.
    """
    if len(content) > MAX_JSON_BYTES:
        raise ValueError(f"it has more than {MAX_JSON_BYTES:,} bytes")
    try:
        value: object = json.loads(content)
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value


def read_small_json(directory: Directory, name: str) -> object:
    """Return the value that a file holds, of which no more is read than :data:`MAX_JSON_BYTES`.

    :raises ValueError: as :func:`small_json` does.
    :raises OSError: where the file cannot be read.
    """
    with directory.open(name) as stream:
        return small_json(stream.read(MAX_JSON_BYTES + 1))
