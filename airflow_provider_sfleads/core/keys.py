"""The key that identifies a lead in the warehouse."""

from __future__ import annotations

from airflow_provider_sfleads.core.values import BLANKS, is_null, text_of


def key_text(value: object) -> str:
    """A key as it is written to results and to Salesforce: trimmed; empty where there is none."""
    return "" if is_null(value) else text_of(value).strip(BLANKS)


def comparable(key: str, *, case_sensitive: bool) -> str:
    """A key as it is compared, in the export and with Salesforce's values.

    ``lower`` and not ``casefold``: the latter would take "straße" and "strasse" for one key.
    """
    return key if case_sensitive else key.lower()
