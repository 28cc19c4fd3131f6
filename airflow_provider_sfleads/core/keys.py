"""The key that identifies a lead in the warehouse."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_sfleads.core.text import BLANKS, is_container, is_null, is_unicode, number_of, text_of
from airflow_provider_sfleads.core.values import NUMBERS
from airflow_provider_sfleads.salesforce.describe import FieldInfo, without_case

Compare = Callable[[str], str]
"""Brings a key into the form in which keys are compared."""


def key_text(value: object) -> str:
    """Return a key as it is written to results and to Salesforce: trimmed; empty where there is none."""
    return "" if is_null(value) else text_of(value).strip(BLANKS)


def valid_key(value: object) -> str | None:
    """Return a key as it is written; ``None`` where the value is none: empty, several values, or half a character."""
    key = key_text(value)
    return key if key and not is_container(value) and is_unicode(key) else None


def compared_by(external: FieldInfo | None) -> Compare:
    """Return how keys are compared, in the export and with Salesforce's values.

    Without letter case, unless the external-ID field minds it; as numbers where it is one, so that 7 and 007 are
    one key.
    """
    if external is None:
        return without_case
    if external.type in NUMBERS:
        return _number_form
    return str if external.case_sensitive else without_case


def _number_form(key: str) -> str:
    number = number_of(key)
    return without_case(key) if number is None else text_of(number)
