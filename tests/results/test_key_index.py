from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.results import KeyIndex, key_index


@settings(deadline=None, max_examples=30)
@given(keys=st.lists(st.tuples(st.text(st.characters(codec="utf-8"), max_size=2), st.sampled_from(["key", "id"]))))
def test_it_agrees_with_a_set(tmp_path_factory: pytest.TempPathFactory, keys: list[tuple[str, str]]) -> None:
    """Whatever is added, in whatever order."""
    seen: set[tuple[str, str]] = set()
    with KeyIndex(tmp_path_factory.mktemp("keys")) as index:
        for key, space in keys:
            assert index.add(key, space) == ((key, space) not in seen)
            seen.add((key, space))


def test_it_agrees_with_itself_over_several_runs_on_disk(tmp_path: Path) -> None:
    """Keys that have left memory are still known."""
    count = key_index.RECENT * 2 + 1_000
    with KeyIndex(tmp_path) as index:
        assert all(index.add(f"lead-{number}") for number in range(count))
        assert not any(index.add(f"lead-{number}") for number in range(0, count, 97))
        assert index.add("lead-0", "id")


def test_no_key_rests_on_disk_and_nothing_is_left_behind(tmp_path: Path) -> None:
    """E-mail addresses are keys in some warehouses; a file of a killed worker is replaced."""
    (tmp_path / "keys.sqlite").write_text("left by a killed worker")
    with KeyIndex(tmp_path) as index:
        for number in range(key_index.RECENT):
            index.add(f"person{number}@example.com")
        assert b"example.com" not in (tmp_path / "keys.sqlite").read_bytes()
    assert list(tmp_path.iterdir()) == []


def test_it_cannot_be_used_outside_its_context(tmp_path: Path) -> None:
    """It would forget."""
    with pytest.raises(ValueError, match="outside its context"):
        KeyIndex(tmp_path).add("a")
