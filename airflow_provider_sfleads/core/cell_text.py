"""Values of an export as text that a CSV cell can hold."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

from airflow_provider_sfleads.core.values import span_text

_LARGEST_PLAIN_EXPONENT = 1_000


def cell_text(value: object) -> str:
    """Return a value as the text of a CSV cell that reads back as the same value.

    Text is written as it is, also where a spreadsheet would take it for a formula: the file must give back what was
    read. Null is empty, times are ISO 8601, spans of time hh:mm:ss, decimals are plain digits, bytes are Base64, lists
    and objects are JSON.
    """
    for kinds, text_of in _TEXTS:
        if isinstance(value, kinds):
            return text_of(value)
    return str(value)


def _plain_digits(value: Decimal) -> str:
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and abs(exponent) <= _LARGEST_PLAIN_EXPONENT:
        return format(value, "f")
    return str(value)


#: Types whose text is not what ``str`` gives; booleans are Salesforce's spelling.
_TEXTS: tuple[tuple[tuple[type, ...], Callable[[Any], str]], ...] = (
    ((str,), str),
    ((type(None),), lambda _: ""),
    ((bool,), lambda value: "true" if value else "false"),
    ((Decimal,), _plain_digits),
    ((date, time), lambda value: value.isoformat()),
    ((timedelta,), span_text),
    ((bytes,), lambda value: base64.b64encode(value).decode()),
    ((Mapping, list, tuple), lambda value: json.dumps(value, ensure_ascii=False, default=cell_text)),
)
