from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.whole_way

DAGS = sorted((Path(__file__).parents[2] / "dags").glob("*.py"))
CHECK = "salesforce_contract_check"
SYNCS = [path for path in DAGS if path.stem != CHECK]
DRY = "_dry_run"


@pytest.mark.parametrize("path", DAGS, ids=[path.stem for path in DAGS])
def test_a_dag_to_copy_is_short(path: Path) -> None:
    """What is made to be copied is read in a minute: its SQL, its form, its tasks, and its dry twin in 105 lines."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 105


def test_the_example_dags_parse_and_keep_their_promises() -> None:
    """Real intervals, no catch-up, one run and one of each task at a time, retries, and Params for the trigger form."""
    from demo.dagbag import DagBag

    bag = DagBag(dag_folder=str(DAGS[0].parent))
    assert not bag.import_errors
    live = {"salesforce_create_leads", "salesforce_nightly_mql_sync", "salesforce_create_and_qualify"}
    assert set(bag.dags) == live | {f"{dag_id}{DRY}" for dag_id in live} | {CHECK}
    for dag in (dag for dag_id, dag in bag.dags.items() if dag_id != CHECK):
        assert "CronDataInterval" in type(dag.timetable).__name__
        assert (dag.catchup, dag.max_active_runs) == (False, 1)
        assert {task.max_active_tis_per_dag for task in dag.tasks} == {1}
        assert all(task.retries for task in dag.tasks)
        assert {"from", "to"} <= set(dag.params)
        assert ("threshold" in dag.params) is ("move_to_mql" in dag.task_dict)


@pytest.mark.parametrize("path", SYNCS, ids=[path.stem for path in SYNCS])
def test_each_example_dag_has_a_twin_that_can_only_look(path: Path) -> None:
    """The same tasks without the switch; what says so is its name, its tag and its description."""
    from airflow_provider_sfleads.operators.base import LeadSyncOperator
    from demo.dagbag import DagBag

    bag = DagBag(dag_folder=str(path))
    live, dry = bag.dags[path.stem], bag.dags[f"{path.stem}{DRY}"]
    assert (list(live.task_dict), live.timetable) == (list(dry.task_dict), dry.timetable)
    assert set(live.params) - set(dry.params) == {"dry_run"}
    assert all(vars(task)["dry_run"] is True for task in dry.tasks if isinstance(task, LeadSyncOperator))
    assert "dry run" in dry.tags
    assert "dry run" not in live.tags
    assert "changes nothing" in str(dry.description)
    # Until somebody wants it: not paused, it would run every night.
    assert dry.is_paused_upon_creation is True
    assert f"{path.stem}{DRY}" in str(live.params.get_param("dry_run").description)


@pytest.mark.parametrize("bad", [{"threshold": -1}, {"threshold": "abc"}, {"from": "yesterday"}, {"dry_run": "maybe"}])
def test_the_trigger_form_refuses_what_cannot_be_meant(bad: dict[str, object]) -> None:
    """Airflow checks a run's configuration against the Params before there is a run."""
    from airflow.providers.common.compat.sdk import ParamValidationError

    from demo.dagbag import DagBag

    (path,) = (path for path in DAGS if path.stem == "salesforce_nightly_mql_sync")
    params = DagBag(dag_folder=str(path)).dags[path.stem].params
    params.update({"from": "2026-11-17T00:00:00.000Z", "to": "2026-11-18", "threshold": 0.5, "dry_run": True})
    params.validate()
    with pytest.raises(ParamValidationError):
        params.update(bad)
