"""Answers that are lost on the way, at each step of a job: no lead twice, none lost, and no job with rows left open."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.hooks.salesforce import SalesforceLeadsHook
from airflow_provider_sfleads.operators.leads import SalesforceCreateLeadsOperator
from airflow_provider_sfleads.salesforce.settings import Retries
from tests.integration.support import FIELDS, Ran, Record, Rows, Task, people

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from airflow_provider_sfleads.salesforce.client import Client
    from airflow_provider_sfleads.salesforce.settings import Settings

pytestmark = pytest.mark.usefixtures("salesforce_conn")

STEPS: dict[str, Record] = {
    "create": {"method": "POST", "path": "/jobs/ingest"},
    "upload": {"method": "PUT", "path": "/batches"},
    "close": {"method": "PATCH", "body": "UploadComplete"},
    "poll": {"method": "GET", "path": "/jobs/ingest/[^/]+$"},
    "successful": {"method": "GET", "path": "/successfulResults"},
    "failed": {"method": "GET", "path": "/failedResults"},
}
EFFECTS = ("drop_before", "drop_after", "drop_then_commit", "truncate", "html_503")
WRITES = ("create", "upload", "close")
LOSSES = [(effect, step) for step in STEPS for effect in (EFFECTS if step in WRITES else ("drop_after", "truncate"))]
# One lead cannot be made, so that both result files are asked for.
PEOPLE = [*people(299), {"key": "bad", "last": "Bad", "company": "Acme", "mail": "known@example.com"}]
FINE = {"created": 299, "rejected": 1}


class HastyHook(SalesforceLeadsHook):
    """Tries again at once."""

    def _make_client(self, settings: Settings) -> Client:
        return super()._make_client(replace(settings, retries=Retries(attempts=3, base=0.002)))


class HastyCreate(SalesforceCreateLeadsOperator):
    """A create task that does not wait long."""

    def _hook(self) -> SalesforceLeadsHook:
        return HastyHook(salesforce_conn_id=self.salesforce_conn_id)


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_sfleads.salesforce.job_control._PAUSE", 0.02)
    monkeypatch.setattr("airflow_provider_sfleads.pipeline.job_watch._LONGEST_OUTAGE", 0.5)


def attempt(task: Task, folder: Path, **more: Any) -> Ran:
    """One try of an insert without external ID."""
    fields = FIELDS | {"mail": "Email"}
    given = {"key": "key", "fields": fields, "max_rejects": 1, "results_path": str(folder), "api": "bulk", **more}
    export: Any = Rows(PEOPLE, columns=("key", "last", "company", "mail"))
    return task.run(HastyCreate(task_id="create", export=export, **given))


def tries(emulator: EmulatorServer, folder: Path, fault: Record, **more: Any) -> Ran:
    """As many tries as it takes, the last of them without faults; and what has to hold whatever happened."""
    emulator.change_settings(duplicate_rule="block")
    emulator.seed_leads([{"LastName": "Known", "Company": "Acme", "Email": "known@example.com"}])
    emulator.add_fault(**fault)
    task = Task()
    ran = attempt(task, folder, **more)
    while ran.error is not None and task.tries < 4:
        assert ran.full["not_sent"], ran.error
        assert len(ran.rows) == len(PEOPLE)
        emulator.clear_faults()
        ran = attempt(task, folder, **more)
    assert ran.error is None
    assert len(emulator.leads()) == 1 + ran.full["created"]
    return ran


def left_open(emulator: EmulatorServer) -> int:
    """Jobs that nobody has closed or aborted."""
    return sum(job["state"] == "Open" for job in emulator.jobs())


@pytest.mark.parametrize(("effect", "step"), LOSSES)
def test_an_answer_is_lost_once(effect: str, step: str, emulator: EmulatorServer, tmp_path: Path) -> None:
    """The run goes on, or the next try does."""
    ran = tries(emulator, tmp_path, {"effect": effect, "times": 1, "seconds": 0.3, **STEPS[step]})

    assert ran.counts == FINE
    assert len(ran.rows) == len(PEOPLE)
    # A job whose number did not come back may be anybody's: it has no rows, and Salesforce gives it up.
    is_made = step == "create" and effect in ("drop_after", "drop_then_commit", "truncate")
    assert left_open(emulator) == (1 if is_made else 0)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("effect", ["drop_before", "drop_after"])
def test_no_answer_comes_in_a_whole_try(effect: str, step: str, emulator: EmulatorServer, tmp_path: Path) -> None:
    """It ends with rows not sent, or of unknown outcome, and the next try brings every one to its end."""
    ran = tries(emulator, tmp_path, {"effect": effect, **STEPS[step]})

    assert (ran.counts, ran.full["attempts"]) == (FINE, 2)
    assert left_open(emulator) == (3 if (effect, step) == ("drop_after", "create") else 0)


def test_the_connection_is_lost_in_mid_upload_and_for_good(emulator: EmulatorServer, tmp_path: Path) -> None:
    """The job cannot even be aborted; the next try does that."""
    ran = tries(emulator, tmp_path, {"effect": "drop_before", "path": "/jobs/ingest/"})

    assert ran.counts == FINE
    assert left_open(emulator) <= 2  # of three jobs of one try, only the last is written down


@pytest.mark.parametrize("seed", range(6))
def test_answers_are_lost_at_random(seed: int, emulator: EmulatorServer, tmp_path: Path) -> None:
    """Every third answer of any kind."""
    effect = EFFECTS[seed % len(EFFECTS)]
    rule = {"effect": effect, "path": "/jobs/", "probability": 0.35, "seed": seed, "seconds": 0.2}

    assert tries(emulator, tmp_path, rule).counts == FINE
