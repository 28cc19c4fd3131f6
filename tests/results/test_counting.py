from __future__ import annotations

from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.core.outcome import Action, Outcome
from airflow_provider_sfleads.core.report import Tally
from airflow_provider_sfleads.results.folder import ResultsFolder
from airflow_provider_sfleads.results.recorded import part_tallies, tally_of

OUTCOMES = st.builds(
    Outcome,
    key=st.just("k"),
    action=st.sampled_from(Action),
    reason=st.sampled_from([None, "same_values", "already_exists"]),
    error_code=st.sampled_from([None, "A", "B"]),
    api=st.sampled_from([None, "bulk"]),
)


@settings(deadline=None, max_examples=30)
@given(outcomes=st.lists(OUTCOMES, max_size=20), part_rows=st.integers(3, 30))
def test_what_is_counted_from_the_results_is_what_was_counted_as_it_came(
    outcomes: list[Outcome], part_rows: int
) -> None:
    """Over all parts, whatever they hold."""
    wanted = Tally()
    with TemporaryDirectory() as path:
        folder = ResultsFolder(path, "d", "r", "t", -1, "1")
        with folder.writer(columns=(), part_rows=part_rows) as writer:
            for outcome in outcomes:
                writer.write(outcome, {})
                wanted.add(outcome)
        assert tally_of(folder) == wanted
        together = Tally()
        for _, tally in part_tallies(folder):
            together.absorb(tally)
        assert together == wanted
