"""Runs the Dags of dags/ in a real Airflow, and compares what they report with what is so."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from demo.options import NIGHT, ROOT
from demo.processes import heeded
from demo.salesforce import CLIENT_ID, CLIENT_SECRET, Holdings, Salesforce
from demo.warehouse import ask, start_of

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from airflow.sdk import DAG

    from demo.dagbag import DagBag

# Not on the tick: the scheduler would take a run by hand for its own one of the next interval, and wait for ever.
_SOON, _AGAIN = timedelta(minutes=1), timedelta(minutes=30)
STATES = ("filtered", "duplicate_keys", "unchanged", "created", "updated", "rejected", "not_sent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One of the two Dags, and what to count it by."""

    title: str
    dag_id: str
    task_id: str
    hour: int
    table: str
    moment: str


CREATE = Job(
    title="create",
    dag_id="salesforce_create_leads",
    task_id="create_leads",
    hour=NIGHT - 1,
    table="signups",
    moment="signed_up_at",
)
STAGE = Job(
    title="to MQL",
    dag_id="salesforce_nightly_mql_sync",
    task_id="move_to_mql",
    hour=NIGHT,
    table="lead_scores",
    moment="scored_at",
)
JOBS = (CREATE, STAGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """One run of one Dag.

    :param again: whether the day was synced before, so that nothing was left to do.
    :param report: what its task returned; empty where it returned nothing.
    :param problems: what does not agree.
    """

    day: date
    job: Job
    again: bool
    report: Mapping[str, Any]
    before: Holdings
    after: Holdings
    seconds: float
    failed: bool
    problems: tuple[str, ...]


def airflow_environment(work: Path, url: str, *, database: str | None = None) -> dict[str, str]:
    """Return the settings of the demo's Airflow; nothing is taken over from an Airflow of the person who runs it.

    :param url: the emulator's.
    :param database: SQLAlchemy's URL for the metadata; a SQLite file by default.
    """
    mine = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    home = work / "airflow"
    return mine | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database or f"sqlite:///{home}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW_CONN_SALESFORCE_LEADS_DEFAULT": json.dumps(_connection(url)),
        "AIRFLOW_CONN_WAREHOUSE": json.dumps({"conn_type": "duckdb", "host": str(work / "warehouse.duckdb")}),
        "AIRFLOW_VAR_SALESFORCE_RESULTS": str(work / "results"),
        "NO_PROXY": "127.0.0.1,localhost",
    }


def _connection(url: str) -> dict[str, str | int | None]:
    """Return the connection to the emulator; with its port apart, as Airflow's Test button wants it."""
    parts = urlsplit(url)
    return {
        "conn_type": "salesforce_leads",
        "host": f"{parts.scheme}://{parts.hostname}",  # its form has no field for the scheme alone
        "port": parts.port,
        "login": CLIENT_ID,
        "password": CLIENT_SECRET,
    }


@contextmanager
def chatter_to(path: Path) -> Iterator[None]:
    """Send whatever is printed in this process to a file: Airflow logs to standard output while a Dag is tested."""
    kept = [os.dup(number) for number in (1, 2)]
    with path.open("ab") as log:
        for number in (1, 2):
            os.dup2(log.fileno(), number)
    try:
        yield
    finally:
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)


def start_airflow() -> None:
    """Make the metadata database, and put the Dags into it."""
    from airflow.utils.db import initdb

    from demo.dagbag import store

    initdb()
    for job in JOBS:
        store(_bag(job), "dags-folder")


class Airflow:
    """Airflow in this process; its settings must be in the environment before it is first imported."""

    def __init__(self, *, salesforce: Salesforce, warehouse: Path) -> None:
        self._salesforce = salesforce
        self._warehouse = warehouse

    def run(self, job: Job, day: date, *, again: bool = False) -> Night:
        """Run a Dag for a day.

        :param again: the day was synced before.
        """
        before = self._salesforce.holdings()
        # Of a run by hand, which this is, the interval is the last whole one before its logical date.
        ended = start_of(day + timedelta(days=1), job.hour)
        started = datetime.now(UTC)
        with heeded():
            run = _read(job).test(logical_date=ended + (_AGAIN if again else _SOON))
        _note_start(run, started)
        instance = run.get_task_instance(job.task_id)
        report = instance.xcom_pull(task_ids=job.task_id) if instance else None
        after = self._salesforce.holdings()
        report = dict(report or {})
        problems = [] if run.state == "success" else [f"the run's state is {run.state}"]
        if report:
            problems += _problems(job, report, before, after)
            problems += self._row_problems(job, day, report)
            problems += _repeat_problems(report) if again else []
        else:
            problems.append("the task returned no report")
        return Night(
            day=day,
            job=job,
            again=again,
            report=report,
            before=before,
            after=after,
            seconds=_seconds(report),
            failed=run.state != "success",
            problems=tuple(problems),
        )

    def _row_problems(self, job: Job, day: date, report: Mapping[str, Any]) -> list[str]:
        start, end = start_of(day, job.hour), start_of(day + timedelta(days=1), job.hour)
        sql = f"SELECT COUNT(*) FROM {job.table} WHERE {job.moment} >= ? AND {job.moment} < ?"  # noqa: S608 - our own
        (rows,) = ask(self._warehouse, sql, [start, end])[0]
        return [] if rows == report["read"] else [f"{report['read']} rows read, but the warehouse has {rows}"]


def _bag(job: Job) -> DagBag:
    from demo.dagbag import DagBag

    bag = DagBag(dag_folder=str(ROOT / f"dags/{job.dag_id}.py"), bundle_path=ROOT / "dags")
    if bag.import_errors:
        raise RuntimeError(f"The Dag {job.dag_id} cannot be read: {bag.import_errors}")
    return bag


def _read(job: Job) -> DAG:
    """Return a Dag, read from its file for each run as a worker does: running it renders its templates in place."""
    dag: DAG = _bag(job).dags[job.dag_id]
    for task in dag.tasks:
        task.retries = 0  # a failure is to be seen now, and not when the Dag's patience is over
    return dag


def _note_start(run: DagRun, started: datetime) -> None:
    """Put right when a run began: ``DAG.test`` writes its logical date, and the UI would show a run of days."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        found = session.get(DagRun, run.id)
        if found is not None:
            found.start_date = started


def _problems(job: Job, report: Mapping[str, Any], before: Holdings, after: Holdings) -> list[str]:
    """Return what in a report is not as the emulator has it."""
    new, moved = after.leads - before.leads, after.at_mql - before.at_mql
    calls = after.api_calls - before.api_calls
    expected = {
        "leads created": (report["created"], new),
        "leads moved to MQL": (report["updated"] if job is STAGE else 0, moved),
        "API calls": (report["api_calls"], calls),
        "rows read and the sum of all states": (report["read"], sum(report[state] for state in STATES)),
        "leads that share an external id": (0, after.twice),
    }
    return [f"{what}: {said} reported, {found} found" for what, (said, found) in expected.items() if said != found]


def _repeat_problems(report: Mapping[str, Any]) -> list[str]:
    changed = {name: report[name] for name in ("created", "updated", "not_sent") if report[name]}
    return [f"a second run of the day is to change nothing, but did: {changed}"] if changed else []


def _seconds(report: Mapping[str, Any]) -> float:
    if not report:
        return 0.0
    started, finished = (datetime.fromisoformat(report[name]) for name in ("started_at", "finished_at"))
    return (finished - started).total_seconds()
