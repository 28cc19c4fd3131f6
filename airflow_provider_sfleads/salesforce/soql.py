"""SOQL text: literals, and lookups of many keys in few queries."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import TypeVar

from airflow_provider_sfleads.exceptions import ParameterError
from airflow_provider_sfleads.salesforce.wire import in_url

Literal = str | int | float | Decimal
Value = TypeVar("Value", str, int, float, Decimal)

# URI and headers together may take 16,384 bytes; a token may take 2 KB of them, path and other headers 0.5 KB.
QUERY_BUDGET = 13_600
_ESCAPES = str.maketrans(
    {"\\": "\\\\", "'": "\\'", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"},
)
# A literal that needs no escape, neither for SOQL nor in a URL.
_is_plain = re.compile(r"'[A-Za-z0-9_.~-]*'").fullmatch


def quote(value: str) -> str:
    """Return ``value`` as a SOQL string literal, quotes included.

    https://developer.salesforce.com/docs/atlas.en-us.soql_sosl.meta/soql_sosl/sforce_api_calls_soql_select_quotedstringescapes.htm
    """
    text = f"'{value}'"
    return text if _is_plain(text) else f"'{value.translate(_ESCAPES)}'"


def literal(value: Literal) -> str:
    """Return ``value`` as a SOQL literal: strings quoted, booleans and numbers bare."""
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return format(value, "f") if isinstance(value, Decimal) else repr(value)


def in_queries(
    select: Sequence[str],
    sobject: str,
    field: str,
    values: Iterable[Value],
    budget_bytes: int = QUERY_BUDGET,
    where: str = "",
) -> Iterator[tuple[str, tuple[Value, ...]]]:
    """Yield queries that together ask for all ``values``, each with the values it asks for.

    A query takes as many values as its URL-encoded form leaves room for; order is kept. No values, no query.

    :param select: fields to ask for.
    :param budget_bytes: bytes that the URL-encoded query may take.
    :param where: further condition, put in parentheses and joined with ``AND``.
    :raises ParameterError: where one value alone is too long for a query.
    """
    head = f"SELECT {', '.join(select)} FROM {sobject} WHERE {field} IN ("  # noqa: S608 - values go through literal()
    tail = f") AND ({where})" if where else ")"
    room = budget_bytes - len(in_url(head)) - len(in_url(tail))
    chunk: list[Value] = []
    texts: list[str] = []
    used = 0
    for value in values:
        text = literal(value)
        # Most keys are plain, and there may be many.
        size = len(text if _is_plain(text) else in_url(text))
        if size > room:
            raise ParameterError(
                f"A value of {field} is too long to be looked up: {size} bytes of a query's {budget_bytes}."
            )
        if used + size > room:
            yield f"{head}{','.join(texts)}{tail}", tuple(chunk)
            chunk, texts, used = [], [], 0
        chunk.append(value)
        texts.append(text)
        used += size + 1  # a comma
    if chunk:
        yield f"{head}{','.join(texts)}{tail}", tuple(chunk)
