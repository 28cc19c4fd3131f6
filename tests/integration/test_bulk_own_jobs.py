"""Jobs are aborted by the task that made them, and by no other; what a task cannot write down it undoes at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.exceptions import DisownedError
from tests.integration.dying import Point, dies, sent
from tests.integration.support import StateStore, Task, creating, killed, people

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from airflow_provider_sfleads.emulator.watching import Sight

pytestmark = pytest.mark.usefixtures("salesforce_conn")

PLAIN: dict[str, Any] = {"external_id_field": None, "api": "bulk"}
CREATE: dict[str, Any] = {"method": "POST", "path": "/jobs/ingest$"}
WARNING = "no try of this task has recorded them"


def states(emulator: EmulatorServer) -> list[str]:
    """The states of all jobs, oldest first."""
    return [job["state"] for job in emulator.jobs()]


@dataclass
class FailingStore(StateStore):
    """A state store that answers the writing of a job's id with an error.

    :param error: the error; ``None`` for none any more.
    :param stores: whether the value is stored all the same, and only the answer was lost.
    :param jobs: from how many jobs on.
    """

    error: BaseException | None = None
    stores: bool = False
    jobs: int = 1
    values: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None

    def set(self, key: str, value: Any) -> None:  # noqa: ANN401 - as the store's
        """Write a value."""
        is_due = self.error is not None and len(value.get("jobs", ())) >= self.jobs
        if self.stores or not is_due:
            super().set(key, value)
        if is_due and self.error is not None:
            raise self.error


def test_the_job_that_another_task_has_just_made_is_left_alone(
    emulator: EmulatorServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The call of this one is lost before Salesforce carries it out, and the other's open job looks alike."""
    emulator.add_fault("drop_before", times=1, **CREATE)
    theirs: list[str] = []

    def other(sight: Sight) -> None:
        if sight.method == "POST" and sight.target.endswith("/jobs/ingest") and not theirs:
            now = emulator.emulator.now_text()
            theirs.append(emulator.emulator.jobs.create({"operation": "insert", "api_version": 60.0}, now).id)

    emulator.watch(other)
    ran = Task().run(creating(people(300), tmp_path, **PLAIN))

    assert (ran.error, ran.counts) == (None, {"created": 300})
    assert {job["id"]: job["state"] for job in emulator.jobs()}[theirs[0]] == "Open"
    assert sorted(states(emulator)) == ["JobComplete", "Open"]
    (warning,) = [record.getMessage() for record in caplog.records if WARNING in record.getMessage()]
    assert theirs[0] in warning


def test_a_job_that_was_made_as_its_worker_was_killed_is_named_by_the_next_try(
    emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is nobody's for sure, so it is not touched; jobs of others, older or of another kind, are not named."""
    jobs, now = emulator.emulator.jobs, emulator.emulator.now_text()
    jobs.create({"operation": "insert", "api_version": 60.0}, "2026-01-01T00:00:00.000+0000")
    task = Task()
    dies(
        monkeypatch, Point(at="airflow_provider_sfleads.salesforce.client:Client.send", which=sent("POST", to="ingest"))
    )
    killed(creating(people(300), tmp_path, **PLAIN), task)
    jobs.create({"operation": "update", "api_version": 60.0}, now)
    ran = task.run(creating(people(300), tmp_path, **PLAIN))

    assert (ran.error, ran.counts) == (None, {"created": 300})
    assert states(emulator) == ["Open", "Open", "Open", "JobComplete"]
    (warning,) = [record.getMessage() for record in caplog.records if WARNING in record.getMessage()]
    assert [job["id"] in warning for job in emulator.jobs()] == [False, True, False, False]


@pytest.mark.parametrize("how", ["refused", "answer lost"])
@pytest.mark.parametrize("error", [RuntimeError("404"), DisownedError("another try"), KeyboardInterrupt()], ids=repr)
def test_a_job_whose_id_cannot_be_written_down_is_aborted_at_once(
    error: BaseException, how: str, emulator: EmulatorServer, tmp_path: Path
) -> None:
    """Whoever comes next begins anew, at once, also where the id was written down after all."""
    store = FailingStore(error=error, stores=how == "answer lost")
    task = Task(store=store)
    with pytest.raises(type(error)):
        raise task.run(creating(people(300), tmp_path, **PLAIN)).error or AssertionError
    assert states(emulator) == ["Aborted"]

    store.error = None
    ran = task.run(creating(people(300), tmp_path, **PLAIN))
    assert (ran.error, ran.counts, len(emulator.leads())) == (None, {"created": 300}, 300)
    assert states(emulator) == ["Aborted", "JobComplete"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [(RuntimeError("404"), ["Aborted", "Aborted"]), (DisownedError("another try"), ["UploadComplete", "Aborted"])],
    ids=["a bug", "disowned"],
)
def test_the_jobs_of_a_try_that_breaks_off_are_aborted_unless_another_try_has_taken_them_over(
    error: Exception, expected: list[str], emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job that is not written down is this one's alone in any case."""
    monkeypatch.setattr("airflow_provider_sfleads.pipeline.staging.MAX_ROWS", 300)
    emulator.change_settings(bulk_delay=3_600.0)
    store = FailingStore(error=error, jobs=2)
    task = Task(store=store)
    first = task.run(creating(people(4_000), tmp_path, **PLAIN))
    assert (type(first.error), states(emulator)) == (type(error), expected)

    store.error = None
    emulator.change_settings(bulk_delay=0.0)
    emulator.finish_jobs()
    second = task.run(creating(people(4_000), tmp_path, **PLAIN))
    assert (second.error, second.counts, len(emulator.leads())) == (None, {"created": 4_000}, 4_000)
