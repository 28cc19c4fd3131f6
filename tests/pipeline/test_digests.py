"""Digests of columns: equal for equal values and for no others, whatever stands beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    import numpy as np

WORDS = st.one_of(st.none(), st.text(max_size=80), st.sampled_from(["", "\0", "a", "a\0", "a" * 8, "a" * 9, "a" * 65]))


def _digests(values: list[str | None]) -> np.ndarray:
    import pyarrow as pa

    from airflow_provider_sfleads.pipeline.digests import digests

    return digests(pa.array(values, pa.string()))


@settings(deadline=None)
@given(st.lists(WORDS, min_size=1))
def test_a_digest_does_not_go_by_the_column_it_is_made_in(values: list[str | None]) -> None:
    """Batches of one column are as wide as their own widest value; its rows are the same rows in any of them."""
    together = _digests(values)

    assert [together[place].tolist() for place in range(len(values))] == [
        _digests([value])[0].tolist() for value in values
    ]


@settings(deadline=None)
@given(st.lists(WORDS, min_size=1))
def test_equal_digests_mean_equal_values(values: list[str | None]) -> None:
    """A null counts as an empty value."""
    found = {tuple(digest): value or "" for digest, value in zip(_digests(values).tolist(), values, strict=True)}

    assert len(found) == len({value or "" for value in values})


def test_a_value_in_a_wide_column_is_found_by_one_in_a_narrow_one() -> None:
    """As keys of an export are found in results that come in other batches."""
    from airflow_provider_sfleads.pipeline.digests import Places

    known = _digests(["K-1", "K-2", "K-" + "9" * 40])

    assert Places(known).find(_digests(["K-2", "K-3", "K-1"])).tolist() == [1, -1, 0]
