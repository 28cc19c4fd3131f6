from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_sfleads.results.files import MAX_JSON_BYTES, directory_at, read_small_json, small_json

HOSTILE = {
    "too long": b" " * (MAX_JSON_BYTES + 1),
    "deep": b"[" * 100_000,
    "closed": b"[" * 100_000 + b"]" * 100_000,
    "no number": b'{"read": NaN}',
    "infinite": b'{"read": 1e999}',
    "digits": b"1" * 5_000,
    "half a character": b'{"host": "\\ud800"}',
    "no UTF-8": b'{"host": "\xff"}',
    "none": b"",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_cannot_be_told_is_refused(name: str) -> None:
    """By one kind of error, whatever is wrong with it."""
    with pytest.raises(ValueError, match=r"."):
        small_json(HOSTILE[name])


def test_no_more_is_read_than_is_taken(tmp_path: Path) -> None:
    """A file of a gigabyte, most of which is a hole."""
    with (tmp_path / "report.json").open("wb") as file:
        file.truncate(1024**3)
    with pytest.raises(ValueError, match="more than 1,048,576 bytes"):
        read_small_json(directory_at(str(tmp_path)), "report.json")
