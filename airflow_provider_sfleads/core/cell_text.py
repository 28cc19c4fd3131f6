"""Values of an export as text that a CSV cell can hold."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

from airflow_provider_sfleads.core.values import choices_of, is_null, text_of


def cell_text(value: object) -> str:
    """Return the text of which the sync makes what it makes of the value itself: the same key, and the same fields.

    Text is written as it is, also where a spreadsheet would take it for a formula. Nothing (null, NaN, NaT) is empty,
    a list is its choices with semicolons between them. What the sync takes for no field, bytes and objects, is Base64
    and JSON.
    """
    if isinstance(value, str):
        return value
    if is_null(value):
        return ""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return _json(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        choices = choices_of(value)
        return _json(value) if choices is None else ";".join(choices)
    return text_of(value)


def _json(value: object) -> str:
    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: object) -> object:
    """A value with nothing in it that JSON does not know."""
    if isinstance(value, Mapping):
        return {cell_text(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if isinstance(value, (str, bool, int)):
        return value
    return None if is_null(value) else cell_text(value)
