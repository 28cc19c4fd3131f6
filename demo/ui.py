"""Airflow's own programs, and how to look at them."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import requests

from demo.processes import Child, running, wait_until

_PROGRAMS = {
    "api-server": (),
    # The logs lie on this machine; to serve them, a port would be opened to every network.
    "scheduler": ("--skip-serve-logs",),
    "dag-processor": (),
    "triggerer": ("--skip-serve-logs",),
}
_USUAL_PORT = 8080
# Below those that Linux gives to whoever asks for any: nobody is given one before the program that it is for has it.
_PORTS = range(20_000, 32_000)
_START_SECONDS = 180


def free_port(wanted: int = 0) -> int:
    """Return a free loopback port, the wanted one where it is free.

    :raises OSError: the wanted one is taken.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for port in () if wanted else secrets.SystemRandom().sample(_PORTS, 20):
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
        probe.bind(("127.0.0.1", wanted))
        found: int = probe.getsockname()[1]
    return found


def ui_environment(base: Mapping[str, str], port: int) -> dict[str, str]:
    """Return the settings of an Airflow with a UI, small and for this machine only."""
    url = f"http://127.0.0.1:{port}"
    # Connections are stored, so that the UI shows them; the context is a leftover of tasks run in this process.
    left_out = ("AIRFLOW_CONN_", "AIRFLOW_CTX_")
    return {name: value for name, value in base.items() if not name.startswith(left_out)} | {
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(48),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        # DuckDB's file takes one writer at a time, and two backfills would write side by side.
        "AIRFLOW__CORE__PARALLELISM": "1",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
    }


@contextmanager
def airflow_ui(env: Mapping[str, str], logs: Path) -> Iterator[list[Child]]:
    """Airflow's programs for as long as the block lasts, healthy when it begins."""
    url = env["AIRFLOW__API__BASE_URL"]
    with ExitStack() as stack:
        children = [
            stack.enter_context(
                running(
                    Child(
                        f"Airflow's {program}",
                        (sys.executable, "-m", "airflow", program, *arguments),
                        log=logs / f"{program}.log",
                        env=env,
                    )
                )
            )
            for program, arguments in _PROGRAMS.items()
        ]
        stack.callback(_stop_together, children)
        wait_until(lambda: is_healthy(url), seconds=_START_SECONDS, what="Airflow", children=children)
        yield children


def _stop_together(children: Sequence[Child]) -> None:
    """Tell all of them first, so that they end side by side."""
    for child in children:
        child.ask_to_stop()


def is_healthy(url: str) -> bool:
    """Return whether all of Airflow is up."""
    try:
        health = requests.get(f"{url}/api/v2/monitor/health", timeout=10).json()
    except (requests.RequestException, ValueError):
        return False
    return all(
        (health.get(part) or {}).get("status") == "healthy"
        for part in ("metadatabase", "scheduler", "triggerer", "dag_processor")
    )


def choose_port(wanted: int) -> int:
    """Return the port for the UI: the wanted one, else Airflow's own, else any.

    :raises OSError: the wanted one is taken.
    """
    if wanted:
        return free_port(wanted)
    try:
        return free_port(_USUAL_PORT)
    except OSError:
        return free_port()


def store_connections(env: Mapping[str, str] = os.environ) -> None:
    """Put the demo's connections into Airflow's database, where the UI shows them."""
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session

    with create_session() as session:
        for name in env:
            if name.startswith("AIRFLOW_CONN_"):
                conn_id = name.removeprefix("AIRFLOW_CONN_").lower()
                session.query(Connection).filter_by(conn_id=conn_id).delete()
                session.add(Connection.from_json(env[name], conn_id=conn_id))
