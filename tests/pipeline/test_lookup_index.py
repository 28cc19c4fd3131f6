# ruff: noqa: TID253 - a test is no Dag file
from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sfleads.pipeline import key_memory as index
from airflow_provider_sfleads.pipeline.digest_of_one import digest_of_one
from airflow_provider_sfleads.pipeline.digests import digests
from airflow_provider_sfleads.pipeline.key_memory import KeyMemory

keys = st.text(st.sampled_from("ab\0ä"), max_size=3)
calls = st.lists(st.tuples(st.booleans(), st.sampled_from(["key", "id"]), st.lists(keys, max_size=12)), max_size=8)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few keys make several runs on disk and several arrays in memory, and share bits of the filter, which grows."""
    monkeypatch.setattr(index, "RECENT", 10)
    monkeypatch.setattr(index, "_ALONE", 3)
    monkeypatch.setattr(index, "_SMALL", 4)
    monkeypatch.setattr(index, "_FEW", 5)
    monkeypatch.setattr(index, "_SMALL_FILTER", 2)
    monkeypatch.setattr(index, "_LARGE_FILTER", 4)


@given(calls)
def test_remembers_as_a_set_does(
    tmp_path_factory: pytest.TempPathFactory, calls: list[tuple[bool, str, list[str]]]
) -> None:
    """Of equal keys the first is new, together or one by one, within a call and over calls, each space by itself."""
    seen: set[tuple[str, str]] = set()
    with KeyMemory(tmp_path_factory.mktemp("keys")) as memory:
        for one_by_one, space, wanted in calls:
            expected = []
            for key in wanted:
                expected.append((space, key) not in seen)
                seen.add((space, key))
            if one_by_one:
                assert [memory.add(key, space) for key in wanted] == expected
            else:
                assert memory.add_many(pa.array(wanted, pa.string()), space).tolist() == expected


@given(st.text(st.characters(codec="utf-8"), max_size=70))
def test_one_digest(value: str) -> None:
    """A value has one digest, in a column or by itself."""
    assert tuple(digests(pa.array([value]))[0].tolist()) == digest_of_one(value)


def test_digests_that_share_their_first_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the whole digest says that two keys are one."""
    halves = {"a": (7, 1), "b": (7, 2), "c": (7, 3), "d": (8, 1), "key": (0, 0)}
    monkeypatch.setattr(index, "digest_of_one", halves.__getitem__)
    monkeypatch.setattr(
        index, "digests", lambda array: np.array([halves[key] for key in array.to_pylist()], dtype=np.uint64)
    )
    with KeyMemory(tmp_path) as memory:
        assert memory.add_many(pa.array(["c", "a", "d", "a"])).tolist() == [True, True, True, False]
        assert memory.add_many(pa.array(["b", "a", "b", "c"])).tolist() == [True, False, False, False]


def test_many_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a bit of the filter nor a key of a run is lost among thousands."""
    monkeypatch.undo()
    monkeypatch.setattr(index, "RECENT", 30_000)
    numbers = list(range(100_000))
    random.Random(1).shuffle(numbers)
    parts = [pa.array(numbers[start : start + 9_999]).cast(pa.string()) for start in range(0, len(numbers), 9_999)]
    with KeyMemory(tmp_path) as memory:
        assert all(memory.add_many(part).all() for part in parts)
        assert len(list((tmp_path / "keys").iterdir())) == 2
        assert not any(memory.add_many(part).any() for part in reversed(parts))
        assert all(memory.add_many(part, "id").all() for part in parts)


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    """What a killed worker left counts for nothing, and a run that ends leaves nothing."""
    left = tmp_path / "keys" / "00000.run"
    left.parent.mkdir()
    left.write_bytes(b"\0" * 16)
    with KeyMemory(tmp_path) as memory:
        assert not left.exists()
        assert memory.add_many(pa.array([str(number) for number in range(11)])).all()
        assert left.exists()
    assert list(tmp_path.iterdir()) == []


def test_no_key_rests_on_disk(tmp_path: Path) -> None:
    """Keys may be e-mail addresses; digests are no personal data."""
    with KeyMemory(tmp_path) as memory:
        memory.add_many(pa.array([f"person{number}@example.org" for number in range(20)]))
        stored = b"".join(path.read_bytes() for path in (tmp_path / "keys").iterdir())
    assert stored
    assert b"person" not in stored
