"""What benchmarks share: an emulator in a process of its own, and an operator run as a task runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_sfleads.operators.base import LeadSyncOperator


@contextmanager
def serving(module: str, *options: str) -> Iterator[str]:
    """Run a server's module, which prints its URL, and yield that; the server ends with the block."""
    process = subprocess.Popen([sys.executable, "-m", module, *options], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield next(word for word in line.split() if word.startswith("http")).rstrip("/.,")
    finally:
        process.terminate()
        process.wait()


@contextmanager
def emulator(**settings: object) -> Iterator[str]:
    """Run an emulator with some of its settings and yield its URL."""
    given = [word for name, value in settings.items() for word in ("--set", f"{name}={json.dumps(value)}")]
    with serving("airflow_provider_sfleads.emulator", "--port", "0", *given) as url:
        yield url


def control(url: str, path: str, method: str = "GET", body: object = None) -> Any:  # noqa: ANN401 - JSON
    """Ask the emulator's control API."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/_emulator/{path}", method=method, data=data)  # noqa: S310 - loopback
    with urllib.request.urlopen(request) as reply:  # noqa: S310 - loopback
        return json.loads(reply.read() or "null")


def connect(url: str) -> None:
    """Make the operators' default connection lead to an emulator."""
    connection = {"conn_type": "salesforce_leads", "host": url, "login": "emulator-key", "password": "emulator-secret"}
    os.environ["AIRFLOW_CONN_SALESFORCE_LEADS_DEFAULT"] = json.dumps(connection)


def execute(operator: LeadSyncOperator, run_id: str) -> dict[str, Any]:
    """Run an operator without Airflow's scheduler and database, and return its report."""
    ti = SimpleNamespace(
        dag_id="bench", run_id=run_id, task_id=operator.task_id, map_index=-1, try_number=1, xcom_push=lambda **_: None
    )
    context: Any = {"ti": ti, "params": {}}
    return operator.execute(context)
