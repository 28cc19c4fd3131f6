from __future__ import annotations

from pathlib import Path

import pytest

DAGS = sorted((Path(__file__).parents[2] / "dags").glob("*.py"))


@pytest.mark.parametrize("path", DAGS, ids=[path.stem for path in DAGS])
def test_a_dag_to_copy_is_short(path: Path) -> None:
    """What is made to be copied fits on a screen: under 60 lines."""
    assert len(path.read_text(encoding="utf-8").splitlines()) < 60


def test_the_example_dags_parse_and_keep_their_promises() -> None:
    """Real intervals, no catch-up, one run and one writing task at a time, retries, and Params for the trigger form."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(DAGS[0].parent))
    assert not bag.import_errors
    assert set(bag.dags) == {"salesforce_create_leads", "salesforce_nightly_mql_sync"}
    for dag in bag.dags.values():
        (task,) = dag.tasks
        assert "CronDataInterval" in type(dag.timetable).__name__
        assert (dag.catchup, dag.max_active_runs, task.max_active_tis_per_dag) == (False, 1, 1)
        assert task.retries
        assert {"from", "to", "dry_run"} <= set(dag.params)
    assert "threshold" in bag.dags["salesforce_nightly_mql_sync"].params
