"""An API server with users, and nothing else of Airflow."""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
import requests
from psycopg.sql import SQL, Identifier

from demo.ui import free_port, ui_environment
from tests.integration.real_airflow import ROOT, RealAirflow
from tests.ui.people import password

_START_SECONDS = 240


@dataclass(frozen=True)
class Server:
    """An API server with users.

    :param url: its address.
    :param database: of Airflow.
    :param folder: for results.
    :param tokens: of the users.
    """

    url: str
    database: str
    folder: Path
    tokens: dict[str, str]

    def get(self, path: str, user: str | None = "admin", **parameters: object) -> requests.Response:
        """Ask one of the plugin's routes.

        :param user: ``None`` for nobody in particular.
        """
        headers = {"Authorization": f"Bearer {self.tokens[user]}"} if user else {}
        if "search" in parameters:
            headers["X-Lead-Syncs-Search"] = quote(str(parameters.pop("search")))
        return requests.get(f"{self.url}/sfleads{path}", headers=headers, params=parameters, timeout=60)  # type: ignore[arg-type]


def new_database(postgres_url: str) -> str:
    """Make an empty database; returns its URL, as Airflow has it."""
    name = f"ui_{secrets.token_hex(4)}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    return (postgres_url.rpartition("/")[0] + f"/{name}").replace("postgresql:", "postgresql+psycopg2:")


def environment(database: str, folder: Path, more: Mapping[str, str]) -> dict[str, str]:
    """The environment of an API server on a port of its own.

    :param folder: for its home and its output.
    :param more: further settings, among them who its users are.
    """
    mine = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return at_free_port(mine) | {
        "AIRFLOW_HOME": str(folder / "home"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "tests/ui/airflow_dags"),
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "PYTHONPATH": str(ROOT),
        **more,
    }


def at_free_port(env: Mapping[str, str]) -> dict[str, str]:
    """The settings of an API server, at another address."""
    here = ui_environment({}, free_port())
    return {**here, **env, **{name: value for name, value in here.items() if "API" in name}}


def run_module(env: Mapping[str, str], *command: str) -> None:
    """Run a module as a program in that environment, to its end."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        env=env,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@contextmanager
def serving(env: Mapping[str, str], folder: Path, users: tuple[str, ...]) -> Iterator[Server]:
    """The API server for as long as the block lasts.

    :param users: who can log in.
    """
    database = env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    airflow = RealAirflow(env, folder)
    try:
        airflow.start("api-server")
        airflow.wait_for(lambda: _answers(airflow.url), "the API server", _START_SECONDS)
        yield Server(airflow.url, database, folder, {user: log_in(airflow.url, user) for user in users})
    finally:
        airflow.kill_all()


def log_in(url: str, user: str) -> str:
    """The token of somebody who logs in as programs do."""
    body = {"username": user, "password": password(user)}
    reply = requests.post(f"{url}/auth/token", json=body, timeout=30)
    assert reply.ok, reply.text
    return str(reply.json()["access_token"])


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/api/v2/version", timeout=10).ok
    except requests.ConnectionError:
        return False
