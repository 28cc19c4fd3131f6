"""Where digests stand: also where many are alike, or share half of themselves."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.pipeline.digests import Digests, Places

HALVES = st.one_of(st.sampled_from([0, 1, 2, 1 << 63, (1 << 64) - 1]), st.integers(0, (1 << 64) - 1))
PAIRS = st.lists(st.tuples(HALVES, HALVES), max_size=60)


def digests_of(pairs: Sequence[tuple[int, int]]) -> Digests:
    """Digests by their halves."""
    return np.array(pairs, dtype=np.uint64).reshape(-1, 2)


@settings(deadline=None)
@given(known=PAIRS, others=PAIRS, piece=st.integers(1, 7))
def test_each_digest_is_found_where_it_stands(
    known: list[tuple[int, int]], others: list[tuple[int, int]], piece: int
) -> None:
    """First where the first of its kind stands; then, asked for one by one, where the next does."""
    wanted = [*known, *others, *known]
    places = Places(digests_of(known))
    first = {pair: place for place, pair in reversed(list(enumerate(known)))}
    assert places.find(digests_of(wanted)).tolist() == [first.get(pair, -1) for pair in wanted]
    left: defaultdict[tuple[int, int], deque[int]] = defaultdict(deque)
    for place, pair in enumerate(known):
        left[pair].append(place)
    for start in range(0, len(wanted), piece):
        asked = wanted[start : start + piece]
        expected = [left[pair].popleft() if left[pair] else -1 for pair in asked]
        assert places.find_each(digests_of(asked)).tolist() == expected


def test_a_digest_behind_many_that_are_alike_is_found() -> None:
    """Rows of one load may all be the same."""
    known = [(5, 5)] * 5_000 + [(6, 0), (6, 1), (1 << 63, 0)]
    places = Places(digests_of(known))
    wanted = [(6, 1), (5, 5), (7, 0), (1 << 63, 0), (4, 0), (5, 4), ((1 << 64) - 1, 0)]
    assert places.find(digests_of(wanted)).tolist() == [5_001, 0, -1, 5_002, -1, -1, -1]
