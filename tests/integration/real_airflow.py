"""An Airflow of several programs, for tests: scheduler, triggerer, API server and Dag processor, on PostgreSQL."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import psycopg
import pytest
import requests

from demo.ui import free_port, is_healthy, ui_environment
from tests.metadata import metadata_database

ROOT = Path(__file__).resolve().parents[2]
# To serve logs, a port would be opened to every network.
_PROGRAMS = {
    "api-server": (),
    "scheduler": ("--skip-serve-logs",),
    "dag-processor": (),
    "triggerer": ("--skip-serve-logs",),
}
_PATIENCE = 180.0  # seconds for what takes a few, where others use the machine as well
_PAUSE = 0.2  # seconds between two looks: who asks all the time takes the processor from those who are to answer
_ENDS = ("success", "failed", "upstream_failed")


class Program:
    """One of Airflow's programs, in a session of its own."""

    def __init__(self, name: str, env: Mapping[str, str], logs: Path) -> None:
        self.name = name
        self.log = logs / f"{name}.log"
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "airflow", name, *_PROGRAMS.get(name, ())],
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def has_ended(self) -> bool:
        """Whether it does not run any more."""
        return self._process.poll() is not None

    def tail(self) -> str:
        """The end of what it has said."""
        return f"{self.name}:\n" + "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def kill(self) -> None:
        """End it and all that it has started, without a word, as a machine that loses its power does."""
        self._process.kill()
        # Airflow puts what it starts into process groups of their own; they stay in the session.
        while self._signal(signal.SIGKILL):
            pass
        self._process.wait()

    def freeze(self, seconds: float) -> None:
        """Stop it and all that it has started for some time, as a machine does that stalls."""
        self._signal(signal.SIGSTOP)
        time.sleep(seconds)
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> bool:
        """Signal all processes of its session; whether there was one."""
        pids = [pid for pid in psutil.pids() if _session(pid) == self._process.pid]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        return bool(pids)


def _session(pid: int) -> int | None:
    try:
        return None if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE else os.getsid(pid)
    except (psutil.NoSuchProcess, ProcessLookupError):
        return None


class RealAirflow:
    """A running Airflow.

    :param env: the environment of its programs.
    :param folder: where its home and its programs' output are.
    """

    def __init__(self, env: Mapping[str, str], folder: Path) -> None:
        self.env = env
        self.folder = folder
        #: URL of its metadata database.
        self.database = env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("postgresql+psycopg2:", "postgresql:")
        self.url = env["AIRFLOW__API__BASE_URL"]
        self._headers: dict[str, str] = {}
        self._programs: dict[str, Program] = {}
        # Where there is none, each program writes one, and reads what another has written by half.
        config = Path(env["AIRFLOW_HOME"], "airflow.cfg")
        config.parent.mkdir(parents=True, exist_ok=True)
        config.touch()

    def start(self, *names: str) -> None:
        """Start programs."""
        for name in names:
            self._programs[name] = Program(name, self.env, self.folder)

    def kill(self, name: str) -> None:
        """End a program by SIGKILL."""
        self._programs.pop(name).kill()

    def freeze(self, name: str, seconds: float) -> None:
        """Stop a program by SIGSTOP for some time."""
        self._programs[name].freeze(seconds)

    def kill_all(self) -> None:
        """End everything."""
        while self._programs:
            self.kill(next(iter(self._programs)))

    def wait_for(self, happened: Callable[[], object], what: str, seconds: float = _PATIENCE) -> None:
        """Look again and again whether something has happened; fail where a program ends or it takes too long."""
        deadline = time.monotonic() + seconds
        while not happened():
            ended = [program for program in self._programs.values() if program.has_ended]
            if ended or time.monotonic() > deadline:
                said = "\n\n".join(program.tail() for program in ended or self._programs.values())
                pytest.fail(f"{what}: in vain. Airflow said:\n{said}")
            time.sleep(_PAUSE)

    def log_in(self, user: str, password: str) -> None:
        """Call the REST API as somebody from now on, where not everybody may do everything."""
        self._take_token("POST", {"username": user, "password": password})

    def _take_token(self, method: str, body: object = None) -> None:
        reply = requests.request(method, f"{self.url}/auth/token", json=body, timeout=_PATIENCE)
        assert reply.ok, reply.text
        self._headers = {"Authorization": f"Bearer {reply.json()['access_token']}"}

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON of that path
        """Call Airflow's REST API."""
        if not self._headers:
            self._take_token("GET")  # where everybody may do everything, 3.1 wants one all the same
        reply = requests.request(
            method, f"{self.url}/api/v2{path}", json=body, headers=self._headers, timeout=_PATIENCE
        )
        assert reply.ok, f"{method} {path}: {reply.status_code} {reply.text}"
        return reply.json()

    def trigger(self, dag_id: str, task_id: str = "create", **more: Any) -> Run:
        """Start a run of a Dag.

        :param task_id: the task to look at.
        :param more: further fields of the request, such as ``conf``.
        """
        made = self.call("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": None, **more})
        return Run(self, dag_id, made["dag_run_id"], task_id)

    def triggers(self) -> list[str]:
        """The rows of triggers in the database; Airflow 3.3 keeps their arguments as plain JSON."""
        with psycopg.connect(self.database) as connection:
            return [text for (text,) in connection.execute("SELECT row_to_json(trigger)::text FROM trigger")]


@dataclass(frozen=True)
class Run:
    """A run of a Dag, and its one task or the one that matters.

    :param map_index: of an instance of a mapped task.
    """

    airflow: RealAirflow
    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1

    def task(self) -> dict[str, Any]:
        """The task instance, as Airflow shows it."""
        index = "" if self.map_index < 0 else f"/{self.map_index}"
        found: dict[str, Any] = self.airflow.call("GET", self._path + index)
        return found

    @property
    def _path(self) -> str:
        return f"/dags/{self.dag_id}/dagRuns/{self.run_id}/taskInstances/{self.task_id}"

    def wait_for(self, state: str, seconds: float = _PATIENCE) -> None:
        """Wait until the task is in a state; fail where it ends in another one, or it takes too long."""
        self.airflow.wait_for(lambda: self._is(state), f"{self.dag_id} is {state}", seconds)

    def _is(self, state: str) -> bool:
        found = self.task()["state"]
        if found != state and found in _ENDS:
            said = "\n\n".join("\n".join(log.read_text().splitlines()[-10:]) for log in self.logs())
            pytest.fail(f"{self.dag_id} is {found}, not {state}. It said:\n{said}")
        return bool(found == state)

    def has_ended(self) -> bool:
        """Whether all its tasks have, and Airflow's scheduler has seen that: else a clear goes unnoticed."""
        return self.airflow.call("GET", f"/dags/{self.dag_id}/dagRuns/{self.run_id}")["state"] in _ENDS

    def logs(self) -> list[Path]:
        """The files of what it said, a file a try."""
        return sorted(self.airflow.folder.glob(f"home/logs/*/run_id={self.run_id}/**/*.log"))

    def report(self) -> dict[str, Any]:
        """What the task has pushed."""
        path = f"{self._path}/xcomEntries/return_value?map_index={self.map_index}"
        value = self.airflow.call("GET", path)["value"]
        found: dict[str, Any] = json.loads(value) if isinstance(value, str) else value
        return found

    def links(self) -> dict[str, str | None]:
        """The links that the UI shows, but for those that are ``None``."""
        found: dict[str, str | None] = self.airflow.call("GET", f"{self._path}/links")["extra_links"]
        return found

    def mark_failed(self) -> None:
        """Do what the button does."""
        self.airflow.call("PATCH", self._path, {"new_state": "failed"})

    def clear(self) -> None:
        """Have the task run once more."""
        body = {"dry_run": False, "dag_run_id": self.run_id, "task_ids": [self.task_id], "only_failed": False}
        self.airflow.call("POST", f"/dags/{self.dag_id}/clearTaskInstances", body)


@contextmanager
def real_airflow(postgres_url: str, folder: Path, dags: Path, more: Mapping[str, str]) -> Iterator[RealAirflow]:
    """An Airflow for as long as the block lasts, healthy when it begins.

    :param postgres_url: a server on which it makes a database.
    :param folder: for its home and its programs' output.
    :param dags: folder of Dags, which are not paused.
    :param more: further settings, as environment variables.
    """
    mine = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    env = ui_environment(mine, free_port()) | {
        "AIRFLOW_HOME": str(folder / "home"),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # The Dags stay as they are.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
        "PYTHONPATH": str(ROOT),
        **more,
    }
    airflow = RealAirflow(env | metadata_database(postgres_url, env), folder)
    try:
        airflow.start(*_PROGRAMS)
        airflow.wait_for(lambda: is_healthy(airflow.url), "Airflow's health")
        yield airflow
    finally:
        airflow.kill_all()
