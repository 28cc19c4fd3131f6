"""JSON as it goes over the wire."""

from __future__ import annotations

import simplejson

from airflow_provider_sfleads.exceptions import ParameterError


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

    JSON numbers come back as ``int`` and ``float``. CSV, which the bulk API answers with, stays bytes.
    """
    if not content:
        return None, True
    if content_type.lower().startswith("text/csv"):
        return content, True
    try:
        return simplejson.loads(content), True
    except (ValueError, RecursionError):
        return None, False
