"""Runs the operators without Airflow around them, and reads what a run left behind."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow_provider_sfleads.core.outcome import BadRow, Row
from airflow_provider_sfleads.exports import FileExport, SqlExport
from airflow_provider_sfleads.exports.record_batches import ChunkStream, row_lists
from airflow_provider_sfleads.operators.leads import SalesforceCreateLeadsOperator, SalesforceUpdateLeadStageOperator

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from airflow.providers.common.compat.sdk import TaskDeferred

    from airflow_provider_sfleads.emulator import EmulatorServer
    from airflow_provider_sfleads.emulator.watching import Sight
    from airflow_provider_sfleads.operators.base import LeadSyncOperator

Record = dict[str, Any]

FIELDS = {"last": "LastName", "company": "Company"}
_PAUSE = 0.001  # seconds between two looks: who never rests takes the processor from what he waits for
COUNTS = (
    "filtered",
    "duplicate_keys",
    "unchanged",
    "created",
    "updated",
    "rejected",
    "not_sent",
    "would_create",
    "would_update",
)


class Rows:
    """An export whose rows a test makes up; ``before`` is told the number of each row just before it is read."""

    def __init__(
        self, rows: Iterable[Mapping[str, Any]], *, columns: Sequence[str] = (), before: Callable[[int], object] = id
    ) -> None:
        self.rows = [dict(row) for row in rows]
        self.columns = tuple(columns) or tuple(self.rows[0])
        self.before = before

    @contextmanager
    def open(self) -> Iterator[ChunkStream]:
        """Yield the rows in lists."""
        yield ChunkStream(columns=self.columns, chunks=row_lists(self._each_whole()))

    def _each_whole(self) -> Iterator[Row | BadRow]:
        for row in self._each():
            yield dict(row)

    def _each(self) -> Iterator[Mapping[str, Any]]:
        for number, row in enumerate(self.rows):
            self.before(number)
            yield dict.fromkeys(self.columns) | row


Export = list[Record] | Rows | SqlExport | FileExport


def people(count: int, *, start: int = 0, **more: Any) -> list[Record]:
    """Rows of people who could become leads."""
    return [{"key": f"K-{n}", "last": f"Last {n}", "company": "Acme", **more} for n in range(start, start + count)]


def leads(rows: Iterable[Mapping[str, Any]], **more: Any) -> list[Record]:
    """Leads as they are in Salesforce once such rows were created."""
    return [{"External_Id__c": row["key"], "LastName": row["last"], "Company": row["company"], **more} for row in rows]


def creating(export: Export, folder: Path | str, **more: Any) -> SalesforceCreateLeadsOperator:
    """A create operator for rows of :func:`people`."""
    given = {"external_id_field": "External_Id__c", "fields": FIELDS, "task_id": "create", "key": "key", **more}
    return SalesforceCreateLeadsOperator(export=_export(export), results_path=str(folder), **given)


def moving(export: Export, folder: Path | str, **more: Any) -> SalesforceUpdateLeadStageOperator:
    """A stage operator that finds leads by external ID."""
    ladder = ["Lead", "MQL", "SAL", "SQL"]
    given = {"external_id_field": "External_Id__c", "ladder": ladder, "task_id": "move", "key": "key", **more}
    return SalesforceUpdateLeadStageOperator(export=_export(export), results_path=str(folder), **given)


def _export(export: Export) -> Any:  # noqa: ANN401 - operators are typed for the exports that people use
    return Rows(export) if isinstance(export, list) else export


@dataclass(kw_only=True)
class Ran:
    """What one try of a task came to.

    :param report: what it pushed or returned; ``None`` where it failed before there was one.
    :param error: what it raised.
    """

    report: Record | None
    error: BaseException | None

    @property
    def counts(self) -> Record:
        """The report's counts other than zero."""
        return {name: n for name, n in self.full.items() if name in COUNTS and n}

    @property
    def full(self) -> Record:
        """The report, which has to be there; its counts have to add up."""
        assert self.report is not None, self.error
        assert self.report["read"] == sum(self.report[name] for name in COUNTS)
        return self.report

    @property
    def folder(self) -> Path:
        """Where it wrote."""
        return folder_of(self.full)

    @property
    def rows(self) -> list[Record]:
        """The results; one for each row read."""
        found = results_of(self.full)
        assert len(found) == self.full["read"]
        return found

    @property
    def by_key(self) -> dict[str, Record]:
        """The results by key."""
        return {row["key"]: row for row in self.rows}

    @property
    def rejects(self) -> list[Record]:
        """The rejects file."""
        return rejects_of(self.full)


def folder_of(report: Mapping[str, Any]) -> Path:
    """The local folder of a report."""
    return Path(str(report["results_path"]).removeprefix("file://"))


def results_of(report: Mapping[str, Any]) -> list[Record]:
    """The results that a report speaks of."""
    import pyarrow.parquet as pq

    parts = sorted(folder_of(report).glob("results-*.parquet"))
    return [row for part in parts for row in pq.read_table(part).to_pylist()]


def rejects_of(report: Mapping[str, Any]) -> list[Record]:
    """The rejects that a report speaks of."""
    with Path(str(report["rejects_path"]).removeprefix("file://")).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class StateStore:
    """Airflow's task state store, as far as the operators use it."""

    def __init__(self) -> None:
        self.values: Record = {}
        self.path: Path | None = None

    def get(self, key: str) -> object:
        """Read a value; JSON, as Airflow keeps it."""
        return json.loads(json.dumps(self.values[key])) if key in self.values else None

    def set(self, key: str, value: object) -> None:
        """Write a value."""
        self.values[key] = json.loads(json.dumps(value))
        if self.path is not None:
            draft = self.path.with_suffix(".draft")
            draft.write_text(json.dumps(self.values))
            draft.replace(self.path)


@dataclass
class Task:
    """One task instance; each :meth:`run` is a try of it, until it succeeds or is cleared.

    :param max_tries: as Airflow counts them; unknown where it is ``None``.
    :param pushed: what the last try pushed, less what it returned.
    """

    run_id: str = "manual__2026-11-20"
    dag_id: str = "leads"
    map_index: int = -1
    context: Record = field(default_factory=dict)
    store: StateStore = field(default_factory=StateStore)
    tries: int = 0
    max_tries: int | None = None
    pushed: Record = field(default_factory=dict)

    def run(self, operator: LeadSyncOperator) -> Ran:
        """Run one try."""
        self.tries += 1
        pushed = self.pushed = {}
        ti = SimpleNamespace(
            dag_id=self.dag_id,
            run_id=self.run_id,
            task_id=operator.task_id,
            map_index=self.map_index,
            try_number=self.tries,
            max_tries=self.max_tries,
            xcom_push=lambda key, value: pushed.update({key: value}),
        )
        context: Any = {"ti": ti, "task_state_store": self.store, "params": {}, **self.context}
        try:
            report: Record | None = operator.execute(context)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test judges it
            return Ran(report=_json(pushed.get("return_value")), error=error)
        return Ran(report=_json(report), error=None)


def _json(report: Record | None) -> Record | None:
    """The report as it comes out of Airflow's XCom; a value that is no plain JSON fails here."""
    plain: Record | None = json.loads(json.dumps(report))
    assert plain == report
    return plain


def run(operator: LeadSyncOperator) -> Ran:
    """Run an operator once."""
    return Task().run(operator)


def deferred(operator: LeadSyncOperator, store: StateStore, run_id: str = "r", **more: Any) -> tuple[TaskDeferred, Any]:
    """Run a try up to its deferral; what it says, and the context it ran in, with some more in that."""
    from airflow.providers.common.compat.sdk import TaskDeferred

    ti = SimpleNamespace(
        dag_id="leads",
        run_id=run_id,
        task_id=operator.task_id,
        map_index=-1,
        try_number=1,
        xcom_push=lambda **_: None,
    )
    context: Any = {"ti": ti, "task_state_store": store, "params": {}, **more}
    try:
        operator.execute(context)
    except TaskDeferred as said:
        return said, context
    raise AssertionError("The task was not deferred")


def no_retry(error: BaseException | None) -> bool:
    """Whether Airflow fails a task on this error at once."""
    from airflow.providers.common.compat.sdk import AirflowFailException

    assert error is not None
    return isinstance(error, AirflowFailException)


def report_of(dag_run: DagRun, task_id: str, *, map_index: int = -1) -> Record:
    """The report that a task pushed to Airflow."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        query = XComModel.get_many(
            run_id=dag_run.run_id,
            dag_ids=dag_run.dag_id,
            task_ids=task_id,
            map_indexes=map_index,
            key="return_value",
        )
        found: Any = session.execute(query).scalars().first()
        assert found is not None, f"{task_id} pushed nothing"
        value = found.value
    report: Record = json.loads(value) if isinstance(value, str) else value
    return report


def try_of(dag_run: DagRun, task_id: str, *, map_index: int = -1) -> tuple[str | None, int]:
    """State and number of a task's last try."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    names = {"dag_id": dag_run.dag_id, "run_id": dag_run.run_id, "task_id": task_id, "map_index": map_index}
    with create_session() as session:
        found = session.scalars(select(TaskInstance).filter_by(**names)).one()
        return found.state, found.try_number


def writes(emulator: EmulatorServer) -> list[Record]:
    """The requests that wrote leads."""
    return [request for request in emulator.requests() if is_write(request)]


def is_write(request: Mapping[str, Any]) -> bool:
    """Whether a request of the emulator's log writes leads."""
    route = str(request["route"])
    if request["method"] == "POST":
        return route.endswith("/composite/sobjects")
    return bool(request["method"] == "PATCH")


def wait_for(happened: Callable[[], object], seconds: float = 60) -> bool:
    """Wait until something has happened, looking again and again; whether it did in time."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def by_external_id(emulator: EmulatorServer) -> dict[str, Record]:
    """The leads in Salesforce, by external ID; each has one, and no two the same."""
    found = emulator.leads()
    named = {str(lead["External_Id__c"]): lead for lead in found}
    assert len(named) == len(found)
    return named


def killed(operator: LeadSyncOperator, task: Task) -> None:
    """Run a try in a process that has to die by SIGKILL, as a worker does that runs out of memory."""
    assert forked(operator, task), "the try came to its end before it was killed"


def killed_at_write(
    operator: LeadSyncOperator, task: Task, emulator: EmulatorServer, nth: int, *, phase: str = "done"
) -> None:
    """Run a try in a process that dies by SIGKILL when its n-th write is carried out, with no answer sent yet.

    :param phase: ``arrived``: before the write is carried out.
    """
    child: list[int] = []
    seen: list[int] = []

    def look(sight: Sight) -> None:
        write = sight.method == "PATCH" or (sight.method == "POST" and sight.target.endswith("/composite/sobjects"))
        if sight.phase == phase and write:
            seen.append(sight.number)
            if len(seen) == nth and wait_for(lambda: child):
                os.kill(child[0], signal.SIGKILL)

    emulator.watch(look)
    assert forked(operator, task, child), "the try came to its end before it was killed"


def forked(operator: LeadSyncOperator, task: Task, pid: list[int] | None = None) -> bool:
    """Run a try in a process of its own; whether that was killed. What the try reported is in its folder only.

    :param pid: takes the process's number.
    """
    folder = Path(tempfile.mkdtemp(prefix="sfleads-state-"))
    kept = folder / "state.json"
    task.store.path = kept
    try:
        child = os.fork()
        if child == 0:
            try:
                task.run(operator)
            finally:
                os._exit(0)
        if pid is not None:
            pid.append(child)
        _, status = os.waitpid(child, 0)
        task.store.values = json.loads(kept.read_text()) if kept.exists() else task.store.values
    finally:
        task.store.path = None
        shutil.rmtree(folder)
    task.tries += 1
    return os.WIFSIGNALED(status)
