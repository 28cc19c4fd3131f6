"""Logs name rows by key, and never by what identifies a person."""

from __future__ import annotations

import pytest

from airflow_provider_sfleads.core.message import log_name


@pytest.mark.parametrize("key", ["L-1", "", "00042", "line\nbreak"])
def test_a_key_is_named(key: str) -> None:
    """A key stands in the log as it is, on one line."""
    assert log_name(key, salt="dag") == repr(key)
    assert "\n" not in log_name(key, salt="dag")


@pytest.mark.parametrize("key", ["ray@acme.example", "@", "mailto:ray@acme.example"])
def test_an_address_is_hashed(key: str) -> None:
    """What may be an e-mail address is not readable, the same each time, and another in each Dag."""
    name = log_name(key, salt="dag")
    assert name.startswith("sha:")
    assert "ray" not in name
    assert name == log_name(key, salt="dag")
    assert name != log_name(key, salt="other dag")
    assert name != log_name(f"x{key}", salt="dag")


def test_half_a_character() -> None:
    """A key that holds a lone surrogate can be named."""
    assert log_name("ray@\ud83d", salt="dag").startswith("sha:")


def test_a_key_that_is_a_whole_text_is_cut() -> None:
    """A line of the log stays one that can be read."""
    assert len(log_name("k" * 100_000, salt="dag")) < 100
