"""JSON as it goes over the wire."""

from __future__ import annotations

import math
import re
from typing import Any

import simplejson

from airflow_provider_sfleads.exceptions import ParameterError

#: Values that a body may hold, which bounds what it takes in memory (some 300 MB at worst); 2,000 leads with all the
#: fields that an org can have stay below.
MOST_VALUES = 2 << 20
# A text is a UTF-16 string to Salesforce, and can end in the middle of a character.
_HALF = re.compile(rb"\\u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w|(\\u[dD][89a-fA-F]\w\w)|\\.", re.DOTALL)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def encode(body: object) -> tuple[bytes, str]:
    """Return a call's body as bytes and their content type; bytes and text pass as they are.

    A :class:`~decimal.Decimal` goes out as the exact number, text as UTF-8. NaN, infinities and lone surrogates, which
    JSON has no form for, are refused.
    """
    if isinstance(body, bytes):
        return body, "application/octet-stream"
    if isinstance(body, str):
        return body.encode(), "text/plain; charset=UTF-8"
    try:
        text = simplejson.dumps(body, use_decimal=True, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        return text.encode(), "application/json; charset=UTF-8"
    except (ValueError, TypeError) as error:
        kind = type(error).__name__
    raise ParameterError(
        f"A request body holds what JSON cannot carry ({kind}): NaN, an infinity, half a surrogate pair, or an "
        "object of another type."
    )


def decode(content: bytes, content_type: str) -> tuple[object | None, bool]:
    """Return a reply's body, and whether it is what its content type says.

    JSON numbers come back as ``int`` and ``float``, half a surrogate pair as U+FFFD. CSV, which the bulk API answers
    with, stays bytes. An object that names a member twice, a number that is none or has thousands of digits, and more
    than :data:`MOST_VALUES` values are nothing that Salesforce writes.
    """
    if not content:
        return None, True
    if content_type.lower().startswith("text/csv"):
        return content, True
    if sum(map(content.count, (b",", b"[", b"{"))) > MOST_VALUES:
        return None, False
    if _SURROGATE.search(content):
        content = _HALF.sub(lambda found: rb"\ufffd" if found[1] else found[0], content)
    try:
        return _JSON.decode(content.decode()), True
    except (ValueError, RecursionError):
        return None, False


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("no number")
    return number


_JSON = simplejson.JSONDecoder(object_pairs_hook=_members, parse_float=_finite)
